/** Postgres' full-text configuration for a BCP 47 language tag; 'simple' (no stemming, no stop words) for all others. */
const configs: Readonly<Record<string, string>> = {
  ar: 'arabic', da: 'danish', de: 'german', el: 'greek', en: 'english', es: 'spanish', fi: 'finnish', fr: 'french',
  hu: 'hungarian', id: 'indonesian', it: 'italian', nl: 'dutch', no: 'norwegian', nb: 'norwegian', pt: 'portuguese',
  ro: 'romanian', ru: 'russian', sv: 'swedish', tr: 'turkish',
} // prettier-ignore

export const searchConfig = (language: string): string => configs[language.toLowerCase().split('-')[0]!] ?? 'simple'

export const searchConfigs: ReadonlySet<string> = new Set([...Object.values(configs), 'simple'])
