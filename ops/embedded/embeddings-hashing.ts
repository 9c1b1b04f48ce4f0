/**
 * Lexical vectors by feature hashing: texts that share words, neighbouring words or parts of words are near. No
 * meaning is in them (car and automobile are strangers); they need no model, no download, and are the same everywhere.
 */

const FNV_OFFSET = 0x811c9dc5
const FNV_PRIME = 0x01000193

/** How much a feature says, tuned on questions about prose: rare pairs say more, trigrams catch inflections. */
const WEIGHT = { word: 1, pair: 0.2, trigram: 0.4 } as const
/** Without a corpus, length stands in for rarity: "of" and "the" are in every text. */
const RARITY = [0, 0.15, 0.2, 0.35, 0.7, 0.9, 1] as const

const WORD =
  /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}]|[\p{L}\p{M}\p{N}]+?(?=[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}]|[^\p{L}\p{M}\p{N}]|$)/gu
const ASCII_WORD = /[a-z0-9]+/g

const ASCII = /^[\x00-\x7f]*$/

/** L2-normalised, `dimensions` long. */
export function hashedVector(text: string, dimensions: number): Float32Array {
  const vector = new Float32Array(dimensions)
  for (const [feature, { count, weight }] of featuresOf(text.normalize('NFKC').toLowerCase())) {
    const mixed = mix(feature)
    // One bit of the hash is the sign, so that collisions cancel instead of adding up.
    const value = weight * (1 + Math.log(count)) * (mixed & 1 ? 1 : -1)
    const slot = (mixed >>> 1) % dimensions
    vector[slot] = (vector[slot] ?? 0) + value
  }
  return normalised(vector)
}

type Features = Map<number, { count: number; weight: number }>

function featuresOf(text: string): Features {
  const features: Features = new Map()
  const add = (feature: number, weight: number) => {
    const known = features.get(feature)
    if (known) known.count += 1
    else features.set(feature, { count: 1, weight })
  }
  let before = 0
  let rarityBefore = 0
  for (const word of text.match(ASCII.test(text) ? ASCII_WORD : WORD) ?? []) {
    const hash = hashOf(word, 0, word.length, FNV_OFFSET)
    const rarity = rarityOf(word)
    add(hash, WEIGHT.word * rarity)
    if (before !== 0)
      add(Math.imul(before ^ Math.imul(hash, 31), FNV_PRIME), WEIGHT.pair * (rarity + rarityBefore) * 0.5)
    // `#` marks a word's edges; the seed keeps trigrams apart from words of three letters.
    const edged = `#${word}#`
    if (word.length > 3)
      for (let i = 0; i + 3 <= edged.length; i++) add(hashOf(edged, i, i + 3, 7), WEIGHT.trigram * rarity)
    before = hash
    rarityBefore = rarity
  }
  return features
}

/** A sign of a script without spaces is a word of its own and as telling as a long one. */
const rarityOf = (word: string) => (word.charCodeAt(0) >= 0x2e80 ? 0.7 : (RARITY[word.length] ?? 1))

/** FNV-1a over UTF-16 units. */
function hashOf(text: string, start: number, end: number, seed: number): number {
  let hash = seed
  for (let i = start; i < end; i++) hash = Math.imul(hash ^ text.charCodeAt(i), FNV_PRIME)
  return hash
}

/** FNV's low bits are weak, and they choose the slot. */
function mix(hash: number): number {
  let mixed = hash ^ (hash >>> 16)
  mixed = Math.imul(mixed, 0x85ebca6b)
  mixed ^= mixed >>> 13
  mixed = Math.imul(mixed, 0xc2b2ae35)
  return (mixed ^ (mixed >>> 16)) >>> 0
}

function normalised(vector: Float32Array): Float32Array {
  let sum = 0
  for (const value of vector) sum += value * value
  const norm = Math.sqrt(sum)
  if (norm > 0) for (let i = 0; i < vector.length; i++) vector[i] = (vector[i] ?? 0) / norm
  // A text of punctuation is no reason for a vector that nobody accepts.
  else vector[0] = 1
  return vector
}
