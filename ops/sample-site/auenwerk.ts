/** The German tenant, with pages in Arabic: a maker of garden pumps that exists here only. */
import {
  bullets,
  type Frame,
  windows1252,
  link,
  paragraphs,
  type SamplePage,
  type SampleTenant,
  steps,
  table,
} from './page.ts'

export const auenwerkFrame: Frame = {
  site: 'Auenwerk Pumpen',
  nav: [
    ['/', 'Start'],
    ['/produkte', 'Produkte'],
    ['/ratgeber/frost', 'Frostschutz'],
    ['/ar', 'العربية'],
  ],
  cookies: 'Wir verwenden Cookies, um diese Seite zu verbessern. Mit OK stimmen Sie zu.',
  footer: '© Auenwerk Pumpen GmbH · Impressum · Datenschutz · AGB',
}

const german = (path: string, title: string, main: string): SamplePage => ({ path, title, lang: 'de', main })
const arabic = (path: string, title: string, main: string): SamplePage => ({
  path,
  title,
  lang: 'ar',
  rightToLeft: true,
  main,
})

const germanPages: readonly SamplePage[] = [
  german(
    '/',
    'Pumpen für Garten und Hof',
    paragraphs(
      'Seit 1931 baut das Auenwerk an der Unstrut Pumpen: für Brunnen, Zisternen, Keller und Teiche. Jede wird vor dem Versand eine Stunde lang mit Wasser geprüft.',
      `Zur Auswahl stehen ${link('/produkte', 'alle Pumpen')}, dazu Ratgeber und die Seiten ${link('/ar', 'auf Arabisch')}.`,
    ) +
      bullets([
        link('/ratgeber/frost', 'Pumpe vor Frost schützen'),
        link('/ratgeber/foerderhoehe', 'Förderhöhe berechnen'),
        link('/ratgeber/zisterne', 'Regenwasser nutzen'),
        link('/ratgeber/laerm', 'Leiser pumpen'),
        link('/garantie', 'Garantie'),
        link('/kontakt', 'Kontakt'),
        link('/produkte/alt-300', 'Altgerät ALT 300'),
        link('/lager', 'Lagerbestand'),
      ]),
  ),
  german(
    '/produkte',
    'Alle Pumpen',
    paragraphs(
      'Tauchpumpen stehen im Wasser, Saugpumpen daneben. Wer tiefer als sieben Meter fördern will, braucht immer eine Tauchpumpe.',
    ) +
      table(
        ['Pumpe', 'Art', 'Leistung'],
        [
          [link('/produkte/t-450', 'T 450'), 'Tauchpumpe', '450 W'],
          [link('/produkte/t-900', 'T 900'), 'Schmutzwasserpumpe', '900 W'],
          [link('/produkte/s-600', 'S 600'), 'Saugpumpe', '600 W'],
          [link('/produkte/b-1200', 'B 1200'), 'Brunnenpumpe', '1200 W'],
        ],
      ),
  ),
  german(
    '/produkte/t-450',
    'Tauchpumpe T 450',
    paragraphs(
      'Die Tauchpumpe T 450 leert Keller und Regentonnen bis auf einen Rest von zwei Millimetern. Ihr Schwimmer lässt sich für flaches Wasser feststellen.',
      'Die T 450 darf höchstens sieben Meter tief eintauchen; darunter drückt das Wasser durch die Wellendichtung in den Motor.',
    ) +
      table(
        ['Angabe', 'Wert'],
        [
          ['Größte Eintauchtiefe', '7 m'],
          ['Fördermenge', '9.500 l/h'],
          ['Förderhöhe', '6,5 m'],
          ['Gewicht', '4,1 kg'],
        ],
      ),
  ),
  german(
    '/produkte/t-900',
    'Schmutzwasserpumpe T 900',
    paragraphs(
      'Schlamm, Laub und Kies bis 35 Millimeter Korn gehen durch das offene Laufrad der T 900. Nach einem Hochwasser schafft sie einen Keller von sechzig Quadratmetern in zwei Stunden.',
      'Nach jedem Einsatz spült man sie fünf Minuten mit klarem Wasser, sonst trocknet der Schlamm am Laufrad fest und der Motor brummt nur noch.',
    ),
  ),
  german(
    '/produkte/s-600',
    'Saugpumpe S 600',
    paragraphs(
      'Die S 600 steht trocken neben dem Wasser und saugt es bis zu sieben Meter hoch an. Vor dem ersten Lauf füllt man das Gehäuse durch die rote Schraube mit zwei Litern Wasser.',
      'Zieht sie Luft, ist fast immer die Verschraubung am Saugschlauch undicht: Teflonband und ein neuer O-Ring 32 × 3 helfen.',
    ),
  ),
  german(
    '/produkte/b-1200',
    'Brunnenpumpe B 1200',
    paragraphs(
      'Mit 98 Millimetern Durchmesser passt die B 1200 in jeden Brunnen von vier Zoll. Sie hängt an einem Edelstahlseil, niemals am Kabel, und drückt Wasser 62 Meter hoch.',
      'Ein Fühler schaltet sie ab, wenn der Brunnen leer fällt, und nach dreißig Minuten wieder ein.',
    ),
  ),
  german(
    '/ratgeber/frost',
    'Pumpe vor Frost schützen',
    paragraphs(
      'Gefrierendes Wasser sprengt jedes Pumpengehäuse. Vor der ersten Nacht unter null Grad wird die Pumpe ausgebaut, entleert und trocken gelagert.',
    ) +
      steps([
        'Stecker ziehen und Druck am Hahn ablassen.',
        'Ablassschraube öffnen und die Pumpe kippen.',
        'Einen Schluck Speiseöl einfüllen und die Welle von Hand drehen.',
        'Im Keller bei mindestens fünf Grad lagern.',
      ]),
  ),
  german(
    '/ratgeber/foerderhoehe',
    'Förderhöhe berechnen',
    paragraphs(
      'Zur Höhe zwischen Wasserspiegel und Auslauf kommt der Verlust im Schlauch: bei einem Zoll und 3.000 Litern je Stunde etwa 0,9 Meter auf zehn Meter Länge.',
      'Beispiel: vier Meter Höhe, dreißig Meter Schlauch und zwei Bar am Regner ergeben 4 + 2,7 + 20 = 26,7 Meter.',
    ) + '<pre><code>H = h + L/10 * 0.9 + p * 10</code></pre>',
  ),
  german(
    '/ratgeber/zisterne',
    'Regenwasser nutzen',
    paragraphs(
      'Eine Zisterne von fünf Kubikmetern versorgt einen Garten von vierhundert Quadratmetern drei trockene Wochen lang. Die Pumpe saugt schwimmend zwanzig Zentimeter unter der Oberfläche an, wo das Wasser am saubersten ist.',
      'Eine Verbindung zur Trinkwasserleitung ist verboten; nachgespeist wird nur über einen freien Auslauf.',
    ),
  ),
  {
    ...german(
      '/ratgeber/laerm',
      'Leiser pumpen',
      paragraphs(
        'Größere Schläuche, weiche Füße und ein Rückschlagventil ohne Feder: mehr braucht es selten, um acht Dezibel zu gewinnen. Auf Holzböden gehört eine Gummimatte unter die Pumpe.',
        'Pfeift das Gerät, saugt es Luft; knattert es, liegt Kies im Laufrad.',
      ),
    ),
    charset: windows1252,
  },
  german(
    '/garantie',
    'Garantie',
    paragraphs(
      'Auf alle Pumpen gibt das Auenwerk fünf Jahre Garantie, auf Dichtungen zwei. Trockenlauf und Frostschäden sind ausgenommen.',
      'Zur Anmeldung genügt ein Foto des Typenschilds.',
    ),
  ),
  german(
    '/kontakt',
    'Kontakt',
    paragraphs(
      'Die Werkstatt ist montags bis freitags von sieben bis fünfzehn Uhr besetzt. Ersatzteile, die bis elf Uhr bestellt sind, gehen am selben Tag auf die Reise.',
      'Bringen Sie defekte Pumpen gern vorbei: Am Samstagvormittag wird vor Ihren Augen repariert.',
    ),
  ),
]

const arabicPages: readonly SamplePage[] = [
  arabic(
    '/ar',
    'مضخات للحديقة والمزرعة',
    paragraphs(
      'يصنع مصنع أونفيرك المضخات منذ عام ١٩٣١ للآبار والخزانات والأقبية. تُختبر كل مضخة بالماء ساعة كاملة قبل شحنها إلى الزبون.',
      `اقرأ عن ${link('/ar/b-1200', 'مضخة الآبار')} وعن ${link('/ar/heat', 'العمل في الحر')} وعن ${link('/ar/warranty', 'الضمان')}.`,
    ),
  ),
  arabic(
    '/ar/b-1200',
    'مضخة الآبار B 1200',
    paragraphs(
      'يبلغ قطر مضخة الآبار ٩٨ مليمترا، فهي تدخل كل بئر قطرها أربع بوصات، وترفع الماء حتى ٦٢ مترا. تُعلَّق المضخة بحبل من الفولاذ ولا تُعلَّق بالسلك الكهربائي أبدا.',
      'إذا جفت البئر أوقفها الحساس، ثم تعمل من جديد بعد ثلاثين دقيقة.',
    ),
  ),
  arabic(
    '/ar/heat',
    'تشغيل المضخة في الحر',
    paragraphs(
      'فوق خمس وأربعين درجة يحتاج المحرك إلى ظل وإلى هواء. ضع المضخة تحت سقف مفتوح من جانبين، ولا تغطها بقماش.',
      'اسق الحديقة قبل شروق الشمس: يتبخر نصف ماء الظهيرة قبل أن يصل إلى الجذور.',
    ),
  ),
  arabic(
    '/ar/warranty',
    'الضمان',
    paragraphs(
      'الضمان خمس سنوات على كل المضخات وسنتان على الحلقات المطاطية. لا يشمل الضمان تشغيل المضخة بلا ماء.',
      'تكفي صورة واحدة للوحة المعدنية لتسجيل المضخة.',
    ),
  ),
]

export const auenwerkPageCount = germanPages.length + arabicPages.length

export const auenwerk: SampleTenant = {
  tenant: 'auenwerk',
  robots: '# Auenwerk\nUser-agent: *\nDisallow: /lager\n',
  pages: [...germanPages, ...arabicPages, german('/lager', 'Lagerbestand', paragraphs('Nur für Händler.'))],
  redirects: {},
  gone: ['/produkte/alt-300'],
}
