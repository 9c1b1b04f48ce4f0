/** The Japanese tenant, with pages in Chinese and French: a tea house that exists here only. */
import { shiftJis } from './shift-jis.ts'
import { bullets, type Frame, link, paragraphs, type SamplePage, type SampleTenant, steps, table } from './page.ts'

export const kumonokiFrame: Frame = {
  site: '雲の木茶舗',
  nav: [
    ['/', '日本語'],
    ['/zh', '中文'],
    ['/fr', 'Français'],
  ],
  cookies: 'このサイトではクッキーを使用しています。 / 本站使用 Cookie。 / Ce site utilise des cookies.',
  footer: '© 雲の木茶舗 · 特定商取引法に基づく表記 · プライバシー',
}

const page =
  (lang: string) =>
  (path: string, title: string, main: string): SamplePage => ({ path, title, lang, main })
const japanese = page('ja')
const chinese = page('zh')
const french = page('fr')

const japanesePages: readonly SamplePage[] = [
  japanese(
    '/',
    '雲の木茶舗',
    paragraphs(
      '雲の木茶舗は、宇治の山あいで三代続く茶の問屋です。茶園から届いた荒茶を自社の工房で火入れし、その日のうちに封をしてお届けします。',
      `取り扱いは${link('/gyokuro', '玉露')}、${link('/sencha', '煎茶')}、${link('/hojicha', 'ほうじ茶')}、${link('/matcha', '抹茶')}の四種です。`,
    ) +
      bullets([
        link('/temperature', '湯の温度'),
        link('/storage', '保存の方法'),
        link('/zh', '中文'),
        link('/fr', 'Français'),
        link('/spring-2019', '二〇一九年の新茶'),
      ]),
  ),
  japanese(
    '/gyokuro',
    '玉露',
    paragraphs(
      '玉露は収穫の前に二十日ほど覆いをかけ、日光をさえぎって育てます。渋みが抑えられ、海苔に似た香りと濃い旨みが生まれます。',
      '五十度まで冷ました湯を少なめに注ぎ、二分半待ってから最後の一滴まで注ぎ切ってください。',
    ),
  ),
  japanese(
    '/sencha',
    '煎茶',
    paragraphs(
      '煎茶は蒸して揉んだ、もっとも親しまれている緑茶です。当店の煎茶は蒸し時間が九十秒の深蒸しで、水色が濃く、渋みはやわらかです。',
      '二煎目は湯を注いだらすぐに、三煎目は少し熱めの湯で三十秒待ちます。',
    ),
  ),
  japanese(
    '/hojicha',
    'ほうじ茶',
    paragraphs(
      'ほうじ茶は茎を強火で焙じたお茶です。カフェインが少ないので、夕食のあとや小さなお子さまにも向いています。',
      '熱湯をたっぷり注ぎ、三十秒で香ばしい一杯になります。',
    ),
  ),
  japanese(
    '/matcha',
    '抹茶',
    paragraphs(
      '抹茶は石臼で一時間に四十グラムしか挽けません。粒は十ミクロンほどで、口に含むと砂ではなく絹のように感じられます。',
      '茶碗を温め、ふるった抹茶二グラムに八十度の湯を六十ミリリットル注ぎ、手首で細かく点てます。',
    ),
  ),
  {
    ...japanese(
      '/temperature',
      '湯の温度',
      paragraphs('湯の温度は茶葉で変わる。玉露は五十度、煎茶は七十度、番茶は九十度。'.repeat(2)) +
        table(
          ['茶葉', '温度'],
          [
            ['玉露', '50 °C'],
            ['煎茶', '70 °C'],
            ['番茶', '90 °C'],
          ],
        ),
    ),
    charset: shiftJis,
  },
  japanese(
    '/storage',
    '保存の方法',
    paragraphs(
      '茶葉の敵は光と湿気と匂いです。封を切ったら缶に移し、涼しい戸棚に置いて一か月で使い切ってください。',
      '冷凍庫から出した袋は、常温に戻るまで開けないでください。冷たい葉に水滴がつき、香りが失われます。',
    ),
  ),
]

const otherPages: readonly SamplePage[] = [
  chinese(
    '/zh',
    '云之木茶铺',
    paragraphs(
      '云之木茶铺位于宇治的山谷之间，三代人经营茶叶。毛茶运到以后，我们在自家作坊烘焙，当天封装，当天寄出。',
      `请看${link('/zh/gyokuro', '玉露的泡法')}和${link('/zh/storage', '茶叶的保存')}，也可以了解${link('/zh/shipping', '配送')}。`,
    ),
  ),
  chinese(
    '/zh/gyokuro',
    '玉露的泡法',
    paragraphs(
      '玉露在采摘之前要遮阳二十天，所以苦涩很少，滋味鲜浓，有海苔的香气。',
      '用五十度的温水，少量冲泡，等两分半钟，把最后一滴也倒出来。第二泡用六十度，只要三十秒。',
    ),
  ),
  chinese(
    '/zh/storage',
    '茶叶的保存',
    paragraphs(
      '光线、潮湿和异味是茶叶的三个敌人。开封以后请装进锡罐，放在阴凉的柜子里，一个月之内喝完。',
      '从冷冻室取出的袋子，要等恢复到室温再打开。',
    ),
  ),
  chinese(
    '/zh/shipping',
    '配送',
    paragraphs('寄往中国大陆的包裹需要七到十天，满五百元免运费。抹茶在夏天用冷藏箱运送。'),
  ),
  french(
    '/fr',
    'La maison Kumonoki',
    paragraphs(
      'Depuis trois générations, la maison Kumonoki choisit, torréfie et expédie les thés des collines d’Uji. Les feuilles sont scellées le jour même de leur passage au feu.',
      `Lisez comment préparer le ${link('/fr/gyokuro', 'gyokuro')}, comment fouetter le ${link('/fr/matcha', 'matcha')} et ce que coûte la ${link('/fr/livraison', 'livraison')}.`,
    ),
  ),
  french(
    '/fr/gyokuro',
    'Préparer le gyokuro',
    paragraphs(
      'Le gyokuro pousse à l’ombre pendant vingt jours avant la cueillette, d’où son goût profond et presque marin.',
    ) +
      steps([
        'Laissez refroidir l’eau à cinquante degrés.',
        'Versez soixante millilitres sur six grammes de feuilles.',
        'Attendez deux minutes et demie, puis servez jusqu’à la dernière goutte.',
      ]),
  ),
  french(
    '/fr/matcha',
    'Fouetter le matcha',
    paragraphs(
      'Tamisez deux grammes de matcha dans un bol chaud, ajoutez soixante millilitres d’eau à quatre-vingts degrés et fouettez du poignet, sans appuyer.',
      'Le fouet en bambou, ou chasen, compte quatre-vingts brins ; on le rince à l’eau claire, jamais au savon, et il sèche debout.',
    ),
  ),
  french(
    '/fr/livraison',
    'Livraison en Europe',
    paragraphs(
      'Les colis partent d’Uji le mardi et arrivent en Europe sous huit jours. La livraison coûte douze euros et devient gratuite à partir de quatre-vingt-dix euros d’achat.',
      'Les droits de douane sont compris dans le prix affiché.',
    ),
  ),
]

export const kumonokiPageCount = japanesePages.length + otherPages.length

export const kumonoki: SampleTenant = {
  tenant: 'kumonoki',
  robots: 'User-agent: *\nDisallow:\n',
  pages: [...japanesePages, ...otherPages],
  redirects: {},
  gone: ['/spring-2019'],
}
