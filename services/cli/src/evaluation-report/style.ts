/** The report's style: system fonts, colours by scheme, nothing from elsewhere. */
export const STYLE = `
:root { color-scheme: light dark; --ground: #fff; --text: #1c1f23; --soft: #5c6470; --line: #d9dde3; --head: #f3f5f8;
  --good: #1a6b3c; --bad: #a32424; --c0: #1f5fa8; --c1: #b35900; --c2: #2c7a4b; --c3: #8a3fa0; --c4: #a3263e; --c5: #4f6b00; }
@media (prefers-color-scheme: dark) { :root { --ground: #15181c; --text: #e4e7eb; --soft: #9aa4b1; --line: #343a43;
  --head: #1e2329; --good: #6fcf97; --bad: #ff8a8a; --c0: #7db5f2; --c1: #f0a860; --c2: #74cf98; --c3: #d39be6; --c4: #f28ea0; --c5: #b9d46a; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.5rem 1rem 4rem; max-width: 78rem; background: var(--ground); color: var(--text);
  font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.5rem; margin: 0 0 .25rem; } h2 { font-size: 1.15rem; margin: 2.5rem 0 .5rem; } h3 { font-size: 1rem; }
p, li { max-width: 60rem; } .soft, figcaption, caption { color: var(--soft); }
.caution { border-left: 4px solid var(--bad); padding: .25rem .75rem; margin: .5rem 0; background: var(--head); }
.wide { overflow-x: auto; } table { border-collapse: collapse; font-variant-numeric: tabular-nums; margin: .5rem 0; }
caption { text-align: left; padding: .25rem 0; } th, td { padding: .2rem .6rem; border-bottom: 1px solid var(--line); text-align: right; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; } thead th { background: var(--head); } tr.model td { font-weight: 600; }
small { color: var(--soft); font-weight: 400; } .stacked small { display: block; line-height: 1.1; } .ahead { color: var(--good); } .behind { color: var(--bad); }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(26rem, 100%), 1fr)); gap: 1rem; }
figure { margin: 0; max-width: 46rem; } svg { width: 100%; height: auto; display: block; } svg text { font: 12px system-ui, sans-serif; fill: var(--text); }
svg .tick { fill: var(--soft); } svg .grid { stroke: var(--line); } svg .axis { stroke: var(--soft); }
svg .reference { stroke: var(--soft); stroke-dasharray: 5 4; } svg .line { fill: none; stroke: currentColor; stroke-width: 2; }
svg .interval { fill: none; stroke: currentColor; } svg circle { fill: currentColor; }
.c0 { color: var(--c0); } .c1 { color: var(--c1); } .c2 { color: var(--c2); } .c3 { color: var(--c3); } .c4 { color: var(--c4); } .c5 { color: var(--c5); }
svg .name { fill: var(--soft); } svg .name.c0 { fill: var(--c0); } svg .name.c1 { fill: var(--c1); } svg .name.c2 { fill: var(--c2); }
svg .name.c3 { fill: var(--c3); } svg .name.c4 { fill: var(--c4); } svg .name.c5 { fill: var(--c5); }
`;
