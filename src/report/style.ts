/** The page's style sheet: light, dark, phone and paper. The charts take their colours from its variables. */
export const STYLE = `
:root {
  color-scheme: light dark;
  --paper: #ffffff; --ink: #1d2433; --soft: #5a6377; --line: #d9dee8; --card: #f6f8fb;
  --treatment: #0b66c3; --control: #b8590b; --rollback: #c01c28; --review: #8a6100; --stage: #1a7f4b;
  --stopped-paper: #fdecec; --going-paper: #e9f6ee;
}
@media screen and (prefers-color-scheme: dark) {
  :root {
    --paper: #12161f; --ink: #e6eaf2; --soft: #a2acc0; --line: #343c4d; --card: #1a202c;
    --treatment: #62adff; --control: #f0a35e; --rollback: #ff7b80; --review: #e0b64a; --stage: #5fd398;
    --stopped-paper: #3a1a1f; --going-paper: #16301f;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body {
  margin: 0 auto; padding: 1.5rem clamp(0.75rem, 3vw, 2rem) 4rem; max-width: 66rem;
  background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif;
}
h2 { margin: 2.5rem 0 0.5rem; font-size: 1.3rem; }
h3 { margin: 1.5rem 0 0.5rem; font-size: 1.05rem; }
p { margin: 0.5rem 0; max-width: 75ch; overflow-wrap: anywhere; }
.headline { margin: 0.5rem 0 0; padding: 0.9rem 1.1rem; border-left: 6px solid; border-radius: 4px; font-size: clamp(1.1rem, 2.6vw, 1.45rem); font-weight: 600; line-height: 1.35; overflow-wrap: anywhere; }
.headline.stopped { background: var(--stopped-paper); border-color: var(--rollback); }
.headline.going { background: var(--going-paper); border-color: var(--stage); }
.made { max-width: none; color: var(--soft); font-size: 0.9rem; }
nav { display: flex; flex-wrap: wrap; gap: 0.25rem 1rem; font-size: 0.9rem; }
a { color: var(--treatment); }
figure { margin: 1.75rem 0; padding: 0.75rem; background: var(--card); border: 1px solid var(--line); border-radius: 6px; }
figcaption { margin-bottom: 0.25rem; font-weight: 600; }
figure svg { display: block; width: 100%; height: auto; font-family: inherit; }
figure .narrow { display: none; }
.table { margin: 0.75rem 0 1.25rem; overflow-x: auto; }
table { width: 100%; border-collapse: collapse; font-size: 0.92rem; font-variant-numeric: tabular-nums; }
caption { padding-bottom: 0.25rem; text-align: left; color: var(--soft); }
th, td { padding: 0.4rem 0.6rem; border-bottom: 1px solid var(--line); text-align: left; vertical-align: top; }
thead th { border-bottom: 2px solid var(--line); white-space: nowrap; }
tbody th { min-width: 8rem; max-width: 20rem; font-weight: 600; overflow-wrap: break-word; }
td { white-space: nowrap; }
td.prose { min-width: 18rem; white-space: normal; overflow-wrap: anywhere; }
.number { text-align: right; }
article { padding: 0.25rem 1rem; border-left: 3px solid var(--line); }
.missing { padding: 0.75rem 1rem; background: var(--card); border: 1px solid var(--line); border-radius: 6px; }
code { font-size: 0.95em; }
@media screen and (max-width: 40rem) {
  figure { padding: 0.5rem 0.25rem; }
  figure .wide { display: none; }
  figure .narrow { display: block; }
  figcaption { padding: 0 0.5rem; }
  article { padding: 0.25rem 0 0.25rem 0.75rem; }
  th, td { padding: 0.35rem 0.4rem; }
}
@media print {
  :root {
    --ink: #000; --soft: #444; --line: #bbb; --card: #fff; --stopped-paper: #fff; --going-paper: #fff;
  }
  body { max-width: none; padding: 0; font-size: 10.5pt; }
  nav { display: none; }
  figure, article, tr { break-inside: avoid; }
  h2, h3 { break-after: avoid; }
  .table { overflow: visible; }
}
`;
