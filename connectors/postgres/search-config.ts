/**
 * Which full-text configuration stems a page. The page's declared language decides; many pages declare none, and without
 * stemming `index` does not find `indexes`, so those are judged by their commonest words.
 */

/** Configuration by BCP 47 primary language; 'simple' (no stemming, no stop words) for all others. */
const configs: Readonly<Record<string, string>> = {
  ar: 'arabic', da: 'danish', de: 'german', el: 'greek', en: 'english', es: 'spanish', fi: 'finnish', fr: 'french',
  hu: 'hungarian', id: 'indonesian', it: 'italian', nl: 'dutch', no: 'norwegian', nb: 'norwegian', nn: 'norwegian',
  pt: 'portuguese', ro: 'romanian', ru: 'russian', sv: 'swedish', tr: 'turkish',
} // prettier-ignore

/** Words that are common in one language and rare in its neighbours. */
const telling: Readonly<Record<string, string>> = {
  arabic: 'في من على إلى هذا هذه التي الذي أن مع عن ذلك كان',
  danish: 'og af det ikke til er som for blev også efter hvor meget nogle jeg',
  german: 'der die das und ist nicht mit ein eine für auf von werden sich auch dem den',
  greek: 'και το του της στην για από με που είναι τα στο οι την δεν',
  english: 'the of and is that with this are be which from not it was by or',
  spanish: 'el los las una que del por con para es se más como pero está',
  finnish: 'ja on ei että se kun myös oli mutta ovat joka sekä voi tai kuin',
  french: 'le les des une est dans pour qui sur pas du avec sont cette aux',
  hungarian: 'az és hogy nem egy is meg ez csak volt van el vagy mint szerint',
  indonesian: 'yang dan di untuk dengan ini dari dalam tidak adalah akan pada itu atau oleh',
  italian: 'il di che gli della per non sono una con del più anche nel alla',
  dutch: 'het een van niet zijn voor met dat aan wordt ook maar naar bij deze',
  norwegian: 'og ikke det til er som av blir ble også etter hvor mye noen jeg',
  portuguese: 'os uma não para com do da em mais são pelo foi ao na que',
  romanian: 'și în nu este care din pentru mai cu au fost sau prin această lui',
  russian: 'и в не на что с по это как для из от но или его',
  swedish: 'och att det inte är som för av på till med den ett kan också',
  turkish: 've bir bu için ile da olarak daha çok olan gibi en ne kadar değil',
}
const tellers: readonly (readonly [config: string, words: ReadonlySet<string>])[] = Object.entries(telling).map(
  ([config, words]) => [config, new Set(words.split(' '))],
)

/** UTF-16 units of a page that are looked at. */
const SAMPLE = 4_000
/** In running prose these words are 15–40 % of all; tables of names and code stay below. */
const MIN_HITS = 3
const MIN_SHARE = 0.06
/** Danish and Norwegian share most of theirs: better no stemming than the neighbour's. */
const MIN_LEAD = 1.15

/** @param text of the page; its words decide when `language` is ''. */
export function searchConfig(language: string, text = ''): string {
  return language === '' ? configOfText(text) : (configs[language.toLowerCase().split('-')[0]!] ?? 'simple')
}

function configOfText(text: string): string {
  const words =
    text
      .slice(0, SAMPLE)
      .toLowerCase()
      .match(/[\p{L}\p{M}]+/gu) ?? []
  const ranked = tellers
    .map(([config, telling]) => ({ config, hits: words.filter((word) => telling.has(word)).length }))
    .sort((a, b) => b.hits - a.hits)
  const [best, next] = ranked
  const isSure =
    best!.hits >= Math.max(MIN_HITS, words.length * MIN_SHARE) && best!.hits >= (next?.hits ?? 0) * MIN_LEAD
  return isSure ? best!.config : 'simple'
}

export const searchConfigs: ReadonlySet<string> = new Set([...Object.values(configs), 'simple'])
