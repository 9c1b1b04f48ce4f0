import t from 'tap'
import { searchConfig, searchConfigs } from './search-config.ts'

t.test('a declared language decides, whatever its region, case, or the text', (t) => {
  t.equal(searchConfig('de-AT'), 'german')
  t.equal(searchConfig('EN'), 'english')
  t.equal(searchConfig('ja', 'the of and is that with this are be which'), 'simple')
  t.end()
})

const prose = {
  arabic: 'يجب إغلاق الصمام قبل الشتاء وهذا ما يحدث في كل عام على الأقل من أجل السلامة، وكان ذلك مفيدا مع هذه المضخات التي في المصنع',
  danish: 'Pumpen skal ikke startes før ventilen er lukket, og det gælder også for de andre, som blev købt efter branden, hvor meget gik tabt.',
  german: 'Die Pumpe darf nicht laufen, wenn das Ventil geschlossen ist, und auch der Filter wird mit dem Gehäuse von Hand gereinigt.',
  english: 'The pump must not be started when the valve is closed, and this is also true of the filters that are in the other hall.',
  spanish: 'La bomba no se debe arrancar con la válvula cerrada, y las juntas se cambian cada dos años por el técnico del taller.',
  finnish: 'Pumppua ei saa käynnistää, kun venttiili on kiinni, ja se myös kuumenee, mutta tiivisteet ovat kestäviä, joka ei yllätä.',
  french: 'La pompe ne doit pas être mise en marche avec la vanne fermée, et les joints sont changés par des techniciens dans le hall.',
  italian: 'La pompa non deve essere avviata con la valvola chiusa, e anche i filtri che sono nel capannone si puliscono per il collaudo.',
  dutch: 'De pomp mag niet worden gestart als het ventiel dicht is, en ook de filters van de hal zijn met een doek te reinigen voor het feest.',
  portuguese: 'A bomba não pode ser ligada com a válvula fechada, e os filtros são limpos pelo técnico, mais uma vez ao ano, como foi dito.',
  russian: 'Насос не включают, когда клапан закрыт, и это относится к фильтрам, как было сказано в книге по уходу для цеха.',
  swedish: 'Pumpen får inte startas när ventilen är stängd, och det gäller också för filter som kan rengöras av den som är på plats.',
  turkish: 'Vana kapalı ise pompa ve filtre için bu çok tehlikeli bir durumdur, daha sonra da olarak değil gibi ne kadar sürer.',
} // prettier-ignore

t.test('a page that declares none is judged by its commonest words', (t) => {
  for (const [config, text] of Object.entries(prose)) t.equal(searchConfig('', text), config)
  t.end()
})

t.test('where words do not settle it, nothing is stemmed', (t) => {
  const unsettled = ['', 'the', 'pg_class pg_index pg_attribute relname relkind oid int4', '冬天之前必须排空所有阀门。']
  for (const text of unsettled) t.equal(searchConfig('', text), 'simple', text)
  t.end()
})

t.test('a long page is judged by its beginning', (t) => {
  t.equal(searchConfig('', `${prose.german.repeat(50)}${prose.english.repeat(500)}`), 'german')
  t.end()
})

t.test('every configuration that a page can have is one that questions are stemmed in', (t) => {
  for (const text of Object.values(prose)) t.ok(searchConfigs.has(searchConfig('', text)))
  t.ok(searchConfigs.has(searchConfig('xx')))
  t.end()
})
