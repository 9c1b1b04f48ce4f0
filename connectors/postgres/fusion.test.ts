import t from 'tap'
import { fuse } from './fusion.ts'
import type { Candidate } from './fusion.ts'

const child = (id: string, scores: Partial<Candidate> = {}): Candidate => ({
  id,
  parentKey: `parent of ${id}`,
  similarity: 0.2,
  text: 0,
  title: 0,
  model: 'text-embedding-3-small',
  ...scores,
})
const order = (candidates: Candidate[], k = 10) => fuse(candidates, k).map(({ id }) => id)

t.test('no candidates, no hits', (t) => {
  t.strictSame(fuse([], 5), [])
  t.end()
})

t.test('where no word is found, the vectors alone decide', (t) => {
  t.strictSame(
    order([child('far', { similarity: 0.1 }), child('near', { similarity: 0.4 }), child('mid', { similarity: 0.3 })]),
    ['near', 'mid', 'far'],
  )
  t.end()
})

t.test('what cannot be compared is no nearer than a stranger, and does not move the others', (t) => {
  const ours = [child('near', { similarity: 0.4 }), child('far', { similarity: 0.1 })]
  const theirs = ['x', 'y', 'z'].map((id) => child(id, { similarity: null }))
  const shares = (all: Candidate[]) => fuse(all, 2).map(({ id, score }) => [id, score])
  t.strictSame(shares([...theirs, ...ours]), shares(ours))
  t.end()
})

t.test('where all are equally near, the words alone decide', (t) => {
  t.strictSame(order([child('a', { text: 0.1 }), child('b', { text: 0.9 })]), ['b', 'a'])
  t.end()
})

t.test('a clear first place of one half outweighs a narrow lead in the other', (t) => {
  const clear = child('clear', { similarity: 0.8, text: 0.4 })
  const narrow = child('narrow', { similarity: 0.3, text: 0.45 })
  t.strictSame(order([narrow, clear, child('rest')]), ['clear', 'narrow', 'rest'])
  t.end()
})

t.test('the scale of similarities does not matter, only how far apart they are', (t) => {
  const at = (base: number, span: number) =>
    order([
      child('a', { similarity: base, text: 0.6 }),
      child('b', { similarity: base + span, text: 0.5 }),
      child('c', { similarity: base + span / 2, text: 0.1 }),
    ])
  t.strictSame(at(0.75, 0.1), at(0.1, 0.6))
  t.end()
})

t.test('vectors of hashed words yield to full text, those of a model that knows meanings do not', (t) => {
  const answers = (model: string) =>
    order([
      child('near', { model, similarity: 0.9, text: 0.6 }),
      child('said', { model, similarity: 0.5, text: 0.9 }),
      child('rest', { model, similarity: 0.1 }),
    ])
  t.equal(answers('sluice-hash-v1')[0], 'said')
  t.equal(answers('text-embedding-3-small')[0], 'near')
  t.end()
})

t.test('a parent is returned once, by its best child, and k counts parents', (t) => {
  const same = [0.5, 0.9, 0.7].map((text, index) => child(`child ${index}`, { parentKey: 'p', text }))
  t.strictSame(order([...same, child('other', { text: 0.6 })], 2), ['child 1', 'other'])
  t.end()
})

t.test('a matching title decides between equals', (t) => {
  t.strictSame(order([child('a', { text: 0.5 }), child('b', { text: 0.5, title: 0.5 })]), ['b', 'a'])
  t.end()
})

t.test('scores lie in 0…1 and equal ones are ordered by id', (t) => {
  const hits = fuse([child('b'), child('a'), child('z', { similarity: 0.9, text: 1.4, title: 1 })], 10)
  t.strictSame(
    hits.map(({ id }) => id),
    ['z', 'a', 'b'],
  )
  t.equal(hits[0]!.score, 1)
  t.ok(hits.every(({ score }) => score >= 0 && score <= 1))
  t.end()
})
