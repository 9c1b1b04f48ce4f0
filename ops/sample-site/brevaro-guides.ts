/** Brevaro's guides and the pages about the company. */
import { windows1252, paragraphs, bullets, type SamplePage, table } from './page.ts'

type Guide = readonly [slug: string, title: string, html: string]

const guides: readonly Guide[] = [
  [
    'water-hardness',
    'Which water to use',
    paragraphs(
      'Good water has between 50 and 100 milligrams of calcium carbonate in a litre. Less tastes flat and starves the level probes, more ends as lime on the elements.',
      'A drop test from the pharmacy costs three euros. Count the drops until the colour turns from red to green: each stands for one German degree, which is 17.8 milligrams.',
    ) +
      bullets([
        '0 to 3 drops: blend with a mineral water.',
        '4 to 8 drops: use it as it is.',
        '9 and more: fit a cartridge and descale twice as often.',
      ]),
  ],
  [
    'grind-size',
    'Finding the grind',
    paragraphs(
      'Grind decides more than any other setting. A step finer slows the shot by about three seconds; wait two doses until the old grounds have left the chute.',
      'Humidity matters: on a rainy day the same setting runs slower, because ground coffee swells.',
    ) +
      table(
        ['Time for 36 g', 'Taste', 'Turn'],
        [
          ['under 20 s', 'thin and sour', 'finer by two steps'],
          ['25 to 30 s', 'sweet', 'leave it'],
          ['over 40 s', 'harsh', 'coarser by two steps'],
        ],
      ),
  ],
  [
    'milk-texturing',
    'Texturing milk',
    paragraphs(
      'Start with milk from the refrigerator and a jug filled to the beginning of its spout. Keep the tip just below the surface until the jug feels as warm as your hand, then sink it and let the milk roll.',
      'Stop at 60 degrees. Above 68 degrees proteins let go of the foam, and sweetness gives way to a taste of cooked milk. Oat drinks stand less heat: stop them at 55 degrees.',
    ),
  ],
  [
    'storing-beans',
    'Storing beans',
    paragraphs(
      'Beans are best between the eighth and the thirtieth day after roasting. Keep them in their bag with the valve, pressed flat, in a cupboard away from the oven.',
      'For longer, freeze them: portions of a week in airtight jars, thawed closed overnight so that no water condenses on them. The refrigerator is the worst of all places, being damp and full of smells.',
    ),
  ],
  [
    'backflushing',
    'Backflushing without harm',
    paragraphs(
      'Backflushing presses cleaner through the three-way valve. Machines without that valve, such as the Aria Piccola and every lever machine, must not be backflushed.',
      'Use powder twice a month at home; more of it washes the grease from the lever cam, which then squeaks. A smear of food-safe silicone cures the squeak.',
    ),
  ],
  [
    'tamping',
    'Tamping level',
    paragraphs(
      'How hard you press hardly matters beyond ten kilograms; how level you press matters a great deal. Water takes the shortest way and a slanted puck has one.',
      'Hold the tamper like a door knob, elbow above it, and feel with two fingers whether the gap to the rim is the same all round.',
    ),
  ],
  [
    'channeling',
    'Channels in the puck',
    paragraphs(
      'Blond streaks after ten seconds and drops that spray sideways are the marks of a channel. Break clumps with a thin needle before you tamp, from the bottom upwards.',
      'Too little coffee leaves a gap below the screen, so that the first water digs a hole. Fill until a coin laid on the tamped coffee is not pressed in.',
    ),
  ],
  [
    'energy',
    'Saving energy',
    paragraphs(
      'A timer saves more than any insulation. A heat exchanger that is left on draws about 120 watts all day: 2.9 kilowatt hours, or a euro.',
      'Boilers below half a litre are best switched off after each cup. Large boilers may stay on between breakfast and lunch, since heating them again costs as much as two hours of standing by.',
    ),
  ],
  [
    'moving-house',
    'Moving with a machine',
    paragraphs(
      'Drain the boiler before frost or a long drive: open the steam wand, tilt the machine forwards and draw until nothing comes. A litre of ice splits copper.',
      'Carry it upright. In a car it rides on the floor behind the front seat, never on the back seat, where it becomes a projectile.',
    ),
  ],
  [
    'altitude',
    'Brewing in the mountains',
    paragraphs(
      'Water boils at 93 degrees at two thousand metres. Set the brew temperature no higher than 91 there, or it flashes into steam below the shower screen and tears the puck.',
      'Make up for it with a finer grind and a longer shot. The steam boiler does not care, for it makes its own pressure.',
    ),
  ],
  [
    'decaf',
    'Drawing decaf',
    paragraphs(
      'Decaffeinated beans are brittle and give more dust. Grind one step coarser, dose a gram more and expect a paler crema.',
      'Beans washed with carbon dioxide keep more aroma than those treated with ethyl acetate, which in turn are sweeter. Both go stale in half the time of ordinary coffee.',
    ),
  ],
  [
    'scale-and-timer',
    'Working with a scale and a timer',
    paragraphs(
      'Weigh what goes in and what comes out, and note the seconds. Three numbers describe a shot well enough to repeat it next week.',
      'Start the timer with the pump, not with the first drop, or pre-infusion will hide inside your notes.',
    ) +
      '<pre><code class="language-text">dose 18.0 g   out 36.2 g   time 27 s   grind 11\ndose 18.0 g   out 36.0 g   time 31 s   grind 10</code></pre>',
  ],
]

const company: readonly Guide[] = [
  [
    '/warranty',
    'Warranty',
    paragraphs(
      'Brevaro gives three years on household machines and one year on the Bottega machines, which work harder. The boiler alone is covered for ten years against leaks.',
      'Lime, frost and dropped portafilters are not covered. Register the serial number within sixty days and the household warranty grows to four years.',
    ),
  ],
  [
    '/shipping',
    'Shipping',
    paragraphs(
      'Household machines leave Trieste on the day after the order and arrive within three to five working days in the European Union. Shipping is free above 150 euros, else it costs 7.90 euros.',
      'Machines above 30 kg travel on a pallet with a lift truck; the driver brings them to the kerb, not up the stairs.',
    ),
  ],
  [
    '/returns',
    'Returns',
    paragraphs(
      'You may send a machine back within thirty days, used or not, as long as it has been rinsed and dried. Ask for a return label first; parcels without one are refused at the gate.',
      'The refund is paid within five working days to the card that was charged. Opened bags of coffee and used burrs cannot be returned.',
    ),
  ],
  [
    '/contact',
    'Contact the workshop',
    paragraphs(
      'The workshop answers letters and mails from Monday to Thursday between eight and sixteen o’clock. Telephone hours are Tuesday and Thursday from nine to twelve.',
      'Have the serial number at hand: it stands on a silver plate below the drip tray. For a technician near you, name your postcode.',
    ),
  ],
]

const page = (path: string, title: string, main: string): SamplePage => ({ path, title, lang: 'en', main })

export const guidePages: readonly SamplePage[] = guides.map(([slug, title, html]) =>
  page(`/guides/${slug}`, title, html),
)

/** One of them in a charset of the last century, with characters that only exist outside ASCII. */
export const companyPages: readonly SamplePage[] = company.map(([path, title, html]) =>
  path === '/contact' ? { ...page(path, title, html), charset: windows1252 } : page(path, title, html),
)
