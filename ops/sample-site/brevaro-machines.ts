/** Eight pages for each machine. The figures follow from the machine's own, so that no two pages say the same. */
import { type Model, models } from './brevaro-models.ts'
import { bullets, link, paragraphs, type SamplePage, steps, table } from './page.ts'

/** Citric acid in 50 g a litre of what the boiler and the tubes hold; never less than a tank's worth for the pump. */
export const citricGrams = ({ boilerLitres }: Model) => Math.round(30 + boilerLitres * 25)
const descaleMonths = ({ boilerLitres }: Model) => (boilerLitres > 3 ? 12 : boilerLitres > 1 ? 6 : 3)
const plumbed = ({ tankLitres }: Model) => tankLitres === 0
const groupMm = ({ family, slug }: Model) => (family === 'Aria' && slug !== 'aria-forte' ? 54 : 58)
const brewCelsius = ({ year }: Model) => 90 + (year % 5)
const partNumber = ({ year, watts }: Model, item: number) => `${year % 100}-${watts / 10 + item * 7}`
const water = (model: Model) =>
  plumbed(model) ? 'It draws its water from the mains.' : `Its tank holds ${model.tankLitres} litres.`

const overview = (model: Model) => {
  const { name, slug, story, finish, boiler, euros, year, extra } = model
  const topics = sections.slice(1).map(({ path, label }) => link(`/machines/${slug}/${path}`, `${name}: ${label}`))
  const family = models.filter((other) => other.family === model.family && other !== model)
  return `${paragraphs(
    story,
    `The ${name} has been built since ${year}. Inside works a ${boiler}; outside it comes in ${finish}. ${water(model)} It costs ${euros} euros with ${extra} in the box.`,
  )}<h2>Read on</h2>${bullets(topics)}<h2>Others of the ${model.family} family</h2>${paragraphs(
    `If the ${name} is not quite what you need, look at its sisters, which share ${groupMm(model)} mm parts where the group allows it.`,
  )}${bullets(family.map((other) => `${link(`/machines/${other.slug}`, other.name)}, ${other.boiler}, ${other.euros} euros`))}`
}

const specifications = (model: Model) =>
  `${paragraphs(`All figures of the ${model.name} were measured at 230 volts, in a room of 21 degrees and with water of 6 degrees of hardness.`)}
  ${table(
    ['Property', 'Value'],
    [
      ['Heating', model.boiler],
      ['Boiler volume', `${model.boilerLitres} l`],
      ['Power', `${model.watts} W`],
      ['Water', plumbed(model) ? 'mains, 2 to 5 bar' : `tank of ${model.tankLitres} l`],
      ['Weight', `${model.kilograms} kg`],
      ['Ready after', `${model.warmUpMinutes} minutes`],
      ['Group diameter', `${groupMm(model)} mm`],
      ['Dose', `${model.basketGrams} g`],
      ['Brew temperature', `${brewCelsius(model)} °C`],
      ['Finish', model.finish],
      ['Built since', model.year],
      ['Price', `${model.euros} €`],
    ],
  )}
  <h2>What the figures mean</h2>${paragraphs(
    `${model.watts} watts heat ${model.boilerLitres} litres in ${model.warmUpMinutes} minutes. A fuse of ${model.watts > 3600 ? 'three phases of 16' : model.watts > 2300 ? 'sixteen' : 'ten'} amperes is enough if nothing else hangs on the circuit.`,
    `Measured over a day with ten cups, the ${model.name} takes ${(model.watts * model.warmUpMinutes * 0.00004 + 0.3).toFixed(2)} kilowatt hours.`,
  )}`

const start = (model: Model) =>
  `${paragraphs(`Unpacked in the morning, your ${model.name} can make its first good cup before noon. Keep the carton: at ${model.kilograms} kg it is the only safe way to send the machine.`)}
  ${steps([
    `Set it level and leave ${model.kilograms > 30 ? 'twenty' : 'ten'} centimetres free behind it.`,
    plumbed(model)
      ? 'Let a fitter connect the water line with a filter and a stopcock, and flush the line for five minutes.'
      : `Rinse the tank and fill it with fresh water, ${model.tankLitres} litres at most.`,
    `Switch on and wait ${model.warmUpMinutes} minutes until the lamp burns steadily.`,
    'Draw one litre through group and steam wand; it carries away what is left from the factory.',
    `Fill ${model.basketGrams} g of fresh coffee into the ${groupMm(model)} mm basket, tamp it level and draw ${model.basketGrams * 2} g in 25 to 30 seconds.`,
  ])}<h2>The first week</h2>${paragraphs(
    `Springs and seals of the ${model.name} settle with the first fifty cups. Until then the pressure may wander by half a bar, which is no fault.`,
    `${model.extra[0]!.toUpperCase()}${model.extra.slice(1)} is included; look for it below the top layer of cardboard.`,
  )}`

const cleaning = (model: Model) =>
  `${paragraphs(`Coffee oil turns rancid within days. On the ${model.name} it settles behind the shower screen of ${groupMm(model)} mm, where it cannot be seen.`)}
  <h2>Every day</h2>${bullets([
    'Flush the group for three seconds after the last cup.',
    'Wipe the steam wand with a damp cloth at once, then open it briefly.',
    `Empty the tray${plumbed(model) ? ' strainer; the water itself runs off' : ''}.<ul><li>A full tray shorts the level sensor.</li><li>Never put the ${model.finish} parts into the dishwasher.</li></ul>`,
  ])}<h2>Every ${model.family === 'Bottega' ? 'evening' : 'second week'}</h2>${steps([
    `Put ${model.family === 'Bottega' ? 9 : 3} g of cleaning powder into the blind basket.`,
    'Run the pump for ten seconds, rest for ten, five times over.',
    'Repeat without powder until the water is clear.',
  ])}${paragraphs(`The screw of the screen on the ${model.name} takes a ${model.year % 2 ? '5 mm hex key' : 'wide flat screwdriver'}. Part ${partNumber(model, 2)} replaces a screen that is bent.`)}`

const descaling = (model: Model) =>
  `${paragraphs(
    `Descale the ${model.name} every ${descaleMonths(model)} months, or twice as often where the kettle turns white within a week. Lime is the end of more machines than wear.`,
    `To descale the ${model.name} you need ${citricGrams(model)} g of citric acid dissolved in ${(1 + model.boilerLitres / 4).toFixed(1)} litres of cold water. Vinegar is not an alternative: its smell stays in the seals.`,
  )}${steps([
    `Switch off and let the boiler of ${model.boilerLitres} litres cool for ${model.warmUpMinutes * 4} minutes.`,
    plumbed(model)
      ? 'Close the stopcock and feed the solution through the service port.'
      : 'Take out the filter and pour the solution into the tank.',
    'Draw 200 ml through the group and 100 ml through the wand, then wait a quarter of an hour.',
    'Draw the rest in small portions within an hour.',
    `Rinse with ${(2 + model.boilerLitres * 2).toFixed(1)} litres of clear water and taste the last of it.`,
  ])}<pre><code class="language-text">menu &gt; service &gt; descale
cycle     ${descaleMonths(model)} months
acid      ${citricGrams(model)} g
counter   reset: hold BREW for ${model.warmUpMinutes} s</code></pre>${paragraphs(
    model.boiler.includes('aluminium')
      ? 'This boiler is of aluminium: use citric acid only, and never leave it in for longer than twenty minutes.'
      : `The ${model.boiler} stands acid for an hour, not overnight.`,
  )}`

const troubleshooting = (model: Model) =>
  `${paragraphs(`Most calls about the ${model.name} end with one of these. Unplug it before you open anything.`)}
  <h2>Known on this machine: ${model.symptom}</h2>${paragraphs(model.cure)}
  <h2>Other signs</h2>${table(
    ['Sign', 'Cause', 'Remedy'],
    [
      ['Coffee is sour', `brewed below ${brewCelsius(model) - 3} °C`, `wait the full ${model.warmUpMinutes} minutes`],
      ['Coffee is bitter', 'ground too fine or drawn too long', `stop at ${model.basketGrams * 2} g`],
      ['Water drips from the group', 'gasket worn', `fit gasket ${partNumber(model, 1)}`],
      [
        plumbed(model) ? 'Low pressure at noon' : 'Pump is loud',
        plumbed(model) ? 'mains below 2 bar' : 'tank not seated',
        plumbed(model) ? 'fit a booster pump' : 'press the tank down',
      ],
      ['No steam', 'tip blocked', `soak tip ${partNumber(model, 4)} in warm water`],
    ],
  )}${paragraphs(`If a code is shown, look it up under ${link('/errors', 'error codes')}. Should the fuse blow when the ${model.name} heats, the element of ${model.watts} watts is damp or broken: leave it off and call us.`)}`

const parts = (model: Model) =>
  `${paragraphs(`We keep parts for the ${model.name} for fifteen years after the last one is built. Quote the number, not the name: the ${model.family} family has changed details over the years.`)}
  ${table(
    ['Number', 'Part', 'Lasts about', 'Price'],
    [
      [
        partNumber(model, 1),
        `group gasket ${groupMm(model)} mm`,
        '12 months',
        `${(4 + (model.euros % 7)).toFixed(2)} €`,
      ],
      [partNumber(model, 2), 'shower screen', '3 years', `${9 + (model.year % 6)}.50 €`],
      [
        partNumber(model, 3),
        model.family === 'Torre' ? 'pair of burrs' : `basket ${model.basketGrams} g`,
        '5 years',
        `${18 + model.basketGrams}.00 €`,
      ],
      [partNumber(model, 4), 'steam tip', '6 years', `${12 + (model.watts % 9)}.00 €`],
      [
        partNumber(model, 5),
        plumbed(model) ? 'inlet valve' : 'pump',
        '8 years',
        `${39 + Math.round(model.kilograms)}.00 €`,
      ],
      [
        partNumber(model, 6),
        `heating element ${model.watts} W`,
        '10 years',
        `${60 + Math.round(model.watts / 50)}.00 €`,
      ],
    ],
  )}${paragraphs(`Gasket, screen and tip can be changed at home with ordinary tools. Element and ${plumbed(model) ? 'inlet valve' : 'pump'} of the ${model.name} are a technician's work, or the warranty ends.`)}`

const recipes = (model: Model) => {
  const dose = model.basketGrams
  return `${paragraphs(`Numbers to start from on the ${model.name}, found with a medium roast twelve days old. Change one thing at a time and write it down.`)}
  ${table(
    ['Drink', 'Coffee', 'In the cup', 'Time', 'Temperature'],
    [
      ['Ristretto', `${dose} g`, `${Math.round(dose * 1.4)} g`, '24 s', `${brewCelsius(model) - 1} °C`],
      ['Espresso', `${dose} g`, `${dose * 2} g`, `${25 + (model.year % 4)} s`, `${brewCelsius(model)} °C`],
      ['Lungo', `${dose} g`, `${dose * 3} g`, '38 s', `${brewCelsius(model) + 1} °C`],
      [
        'Cappuccino',
        `${dose} g`,
        `${dose * 2} g and ${110 + (model.watts % 40)} ml of milk`,
        '28 s',
        `${brewCelsius(model)} °C`,
      ],
    ],
  )}<h2>Light and dark roasts</h2>${paragraphs(
    `Light roasts want ${brewCelsius(model) + 2} degrees and a cup of ${Math.round(dose * 2.5)} g; dark ones ${brewCelsius(model) - 3} degrees and no more than ${Math.round(dose * 1.8)} g.`,
    `On ${model.boiler.includes('exchanger') ? 'a heat exchanger you steer by flushing' : model.boiler.includes('lever') ? 'a lever you steer with your wrist' : 'this machine you steer in the menu'}: two degrees are plain to taste, one is not.`,
  )}`
}

interface Section {
  readonly path: string
  readonly label: string
  readonly render: (model: Model) => string
}

const sections: readonly Section[] = [
  { path: '', label: 'overview', render: overview },
  { path: 'specifications', label: 'specifications', render: specifications },
  { path: 'getting-started', label: 'getting started', render: start },
  { path: 'cleaning', label: 'cleaning', render: cleaning },
  { path: 'descaling', label: 'descaling', render: descaling },
  { path: 'troubleshooting', label: 'troubleshooting', render: troubleshooting },
  { path: 'spare-parts', label: 'spare parts', render: parts },
  { path: 'recipes', label: 'recipes', render: recipes },
]

export const machinePages: readonly SamplePage[] = models.flatMap((model) =>
  sections.map(({ path, label, render }) => ({
    path: `/machines/${model.slug}${path && `/${path}`}`,
    title: path ? `${model.name}: ${label}` : model.name,
    lang: 'en',
    main: render(model),
  })),
)
