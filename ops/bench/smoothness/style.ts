/** The report's looks: no file but itself, no font but the reader's own. */
export const STYLE = `
:root {
  color-scheme: light dark;
  --page: #fbfaf8; --card: #fff; --ink: #1d2125; --soft: #5c6670; --rule: #e2e0db; --shade: #00000010;
  --flow: #1f6feb; --fill: #1f6feb22; --tokens: #0b7285; --limit: #9a6700; --postgres: #8250df;
  --bad: #c62f2f; --good: #1a7f4b;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #14171a; --card: #1c2024; --ink: #e8e6e1; --soft: #a2abb4; --rule: #30363c; --shade: #ffffff12;
    --flow: #6cb0ff; --fill: #6cb0ff26; --tokens: #4fd1c5; --limit: #e3b341; --postgres: #c4a5ff;
    --bad: #ff8a80; --good: #5fd39a;
  }
}
* { box-sizing: border-box; }
body, svg { font-family: system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
body { margin: 0; background: var(--page); color: var(--ink); font-size: 16px; line-height: 1.55; }
main { max-width: 1240px; margin: 0 auto; padding: 40px 24px 72px; }
h1 { font-size: 2rem; line-height: 1.2; margin: 0 0 8px; letter-spacing: -0.01em; }
h2 { font-size: 1.3rem; margin: 48px 0 12px; }
h3 { font-size: 1rem; margin: 0; }
header p { max-width: 76ch; }
.lead { font-size: 1.2rem; font-weight: 600; margin: 0 0 12px; }
.about { color: var(--soft); font-size: 0.875rem; }
.scroll { overflow-x: auto; border: 1px solid var(--rule); border-radius: 10px; background: var(--card); }
table { border-collapse: collapse; width: 100%; font-size: 0.83rem; font-variant-numeric: tabular-nums; }
caption { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
a { color: inherit; }
th, td { padding: 7px 8px; text-align: right; border-top: 1px solid var(--rule); white-space: nowrap; }
thead th { border-top: 0; color: var(--soft); font-weight: 600; line-height: 1.25; vertical-align: bottom; }
figure, .figures thead th, tbody th, .text { white-space: normal; }
th:first-child, .text, .gates thead th { text-align: left; }
.gates thead th:nth-child(3), .gates thead th:nth-child(4) { text-align: right; }
thead th:first-child { min-width: 12em; }
tbody th { font-weight: 600; }
.panels { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 500px), 1fr)); gap: 20px; margin-top: 20px; }
figure { margin: 0; padding: 16px 16px 10px; background: var(--card); border: 1px solid var(--rule); border-radius: 10px; }
figcaption { display: flex; flex-wrap: wrap; justify-content: space-between; gap: 2px 12px; align-items: baseline; }
figcaption p { margin: 0 0 8px; flex-basis: 100%; color: var(--soft); font-size: 0.85rem; min-height: 3.1em; }
.met, .missed { font-size: 0.8rem; font-weight: 600; white-space: nowrap; }
.met { color: var(--good); }
.missed { color: var(--bad); }
.met::before { content: "✓ "; }
.missed::before { content: "✗ "; }
svg { display: block; width: 100%; height: auto; font-size: 11.5px; }
svg text { fill: var(--soft); }
svg path { fill: none; stroke-width: 1.6; stroke-linejoin: round; }
svg .grid { stroke: var(--rule); stroke-width: 1; }
svg .area { fill: var(--fill); }
svg .arrivals { stroke: var(--flow); }
svg .tokens { stroke: var(--tokens); stroke-width: 1.1; }
svg .refused { stroke: var(--bad); stroke-dasharray: 5 3; }
svg .limit { stroke: var(--limit); stroke-dasharray: 2 3; }
svg .postgres { stroke: var(--postgres); stroke-dasharray: 4 2; stroke-width: 1.1; }
svg .event { stroke: var(--ink); stroke-width: 1; opacity: 0.55; }
svg .outage { fill: var(--shade); }
svg .tick, svg .limit-text { text-anchor: end; }
svg .second { text-anchor: middle; }
svg .limit-text { fill: var(--limit); }
svg .flow-text { fill: var(--flow); }
svg .tokens-text { fill: var(--tokens); }
svg .refused-text { fill: var(--bad); }
svg .postgres-text { fill: var(--postgres); }
svg .event-text { fill: var(--ink); }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 8px 20px; max-width: 90ch; font-size: 0.9rem; }
dt { font-weight: 600; }
dd { margin: 0; }
summary { cursor: pointer; padding: 6px 0; }
:focus-visible { outline: 2px solid var(--flow); outline-offset: 2px; }
@media (max-width: 640px) {
  dl { grid-template-columns: 1fr; }
  dt { margin-top: 8px; }
}
@media print {
  .panels { grid-template-columns: 1fr 1fr; }
  figure { break-inside: avoid; }
}
`
