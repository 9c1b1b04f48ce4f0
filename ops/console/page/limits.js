/** Totals over all instances: shown in the units of people, changed after a question. */
import { act } from './api.js'
import { askFor, remembered, whoField } from './dialog.js'
import { foreign, h } from './dom.js'
import { amount } from './format.js'

let options = []
/** `{ resource, name, unit, budget, perUnit, ofTenants }`, as the command line has them. */
export const setLimitOptions = (known) => (options = known)
export const optionOf = (budget) => options.find((one) => one.budget === budget)

export const inUnit = (budget, value) => {
  const option = optionOf(budget)
  if (value === null || value === undefined) return 'no limit'
  return option ? `${amount(value * option.perUnit)} ${option.unit}` : amount(value)
}

/** @param only a budget's name; else all that the resource has. */
export function askLimit({ resource, tenant = '', only }) {
  const own = options.filter(
    (one) =>
      (resource ? one.resource === resource : one.ofTenants) &&
      (!only || one.budget === only) &&
      (one.ofTenants || tenant === ''),
  )
  const shown = own.map(({ resource: of, name, unit, budget }) => ({
    name: budget,
    param: name,
    resource: of,
    label: `${of}: ${unit}`,
    inputmode: 'decimal',
    pattern: '[0-9]+([.][0-9]+)?|off|unlimited',
    title: 'a number above 0, off or unlimited',
  }))
  askFor({
    title: tenant ? 'Limit this tenant' : `Limit ${resource}`,
    text: [
      h(
        'p',
        {},
        tenant
          ? h('span', {}, 'Totals of tenant ', foreign(tenant, 80), ' over all instances.')
          : 'Totals over all instances, in force within a second.',
      ),
      h(
        'p',
        { class: 'hint' },
        'A number; “off”: what the environment says holds again; “unlimited”. Empty: stays as it is.',
      ),
    ],
    fields: [...shown, { name: 'reason', label: 'Reason', maxlength: 500 }, whoField()],
    action: 'Set limits',
    submit: async ({ reason, by, ...values }) => {
      const wished = shown.filter(({ name }) => values[name] !== '')
      if (wished.length === 0) throw new Error('Enter at least one limit')
      for (const of of new Set(wished.map((one) => one.resource))) {
        const wishes = wished.filter((one) => one.resource === of).map(({ param, name }) => [param, values[name]])
        await act('api/limit', { resource: of, tenant, ...Object.fromEntries(wishes), reason, by: remembered(by) })
      }
      return 'Limits set'
    },
  })
}

export function askLift({ budget, tenant, value }) {
  const { resource, name } = optionOf(budget)
  askFor({
    title: 'Lift this limit?',
    text: [
      h(
        'p',
        {},
        `${inUnit(budget, value)} of ${resource}`,
        ...(tenant ? [' for tenant ', foreign(tenant, 80)] : []),
        ': what the environment says holds again.',
      ),
    ],
    action: 'Lift',
    danger: true,
    submit: async () => {
      await act('api/limit', { resource, tenant, [name]: 'off' })
      return 'Limit lifted'
    },
  })
}
