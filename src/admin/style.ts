/** One sheet for every page. Colours are named by meaning; each text colour has a contrast of at least 4.5 with what it stands on. */
export const style = `
:root {
  color-scheme: light dark;
  --ground: #f6f5f1; --card: #fffefb; --line: #dedbd2; --ink: #1c211f; --quiet: #5a615d;
  --accent: #1c6450; --on-accent: #ffffff; --track: #e5e2d9;
  --good: #1c6450; --good-bg: #e2efe9; --warn: #7d4d00; --warn-bg: #fbeed3; --bad: #9c231b; --bad-bg: #fbe7e4;
  --warn-mark: #c9861a; --bad-mark: #c2372d;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #121513; --card: #1a1e1c; --line: #313834; --ink: #e9ece8; --quiet: #a3aca6;
    --accent: #6fc7ab; --on-accent: #0d1512; --track: #2d3430;
    --good: #84d3b9; --good-bg: #19322a; --warn: #f1bd63; --warn-bg: #352a14; --bad: #ffa79c; --bad-bg: #3c1d1a;
    --warn-mark: #e0a43c; --bad-mark: #f07a6d;
  }
}
* { box-sizing: border-box; margin: 0; }
html { -webkit-text-size-adjust: 100%; scroll-padding-top: 1rem; }
body {
  background: var(--ground); color: var(--ink);
  font: 1rem/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif;
  font-variant-numeric: tabular-nums;
}
.top, main, .bottom { width: min(58rem, 100% - 2.5rem); margin-inline: auto; }
.top { display: flex; align-items: center; gap: .6rem; padding: 1.5rem 0 0; color: var(--quiet); font-size: .9rem; }
.top img { width: 1.4rem; height: 1.4rem; }
.top b { color: var(--ink); font-weight: 600; letter-spacing: -.01em; }
.top span { margin-left: auto; }
h1 { font-size: clamp(1.6rem, 1.2rem + 2vw, 2.25rem); font-weight: 650; letter-spacing: -.025em; line-height: 1.15; text-wrap: balance; }
h2 { font-size: 1.25rem; font-weight: 650; letter-spacing: -.01em; line-height: 1.25; overflow-wrap: anywhere; }
h2.section { margin: 2.75rem 0 .75rem; font-size: 1.05rem; }
.overview { padding: 2.25rem 0 1.75rem; }
.overview p { color: var(--quiet); margin-top: .5rem; }
.credential { background: var(--card); border: 1px solid var(--line); border-radius: .75rem; padding: 1.25rem 1.4rem 1.4rem; margin-bottom: 1rem; }
.credential:target { border-color: var(--accent); }
.credential > header { display: flex; flex-wrap: wrap; align-items: baseline; gap: .15rem .75rem; }
.provider { color: var(--quiet); font-size: .9rem; }
.state { display: inline-flex; align-items: center; gap: .4rem; border-radius: 2rem; padding: .1rem .7rem .1rem .55rem; font-size: .85rem; font-weight: 600; white-space: nowrap; }
header .state { margin-left: auto; }
.state svg { width: .7rem; height: .7rem; flex: none; }
.active { color: var(--good); background: var(--good-bg); }
.degraded { color: var(--warn); background: var(--warn-bg); }
.login_required, .reauthorization_required { color: var(--bad); background: var(--bad-bg); }
.trouble { margin-top: 1rem; border-left: 3px solid var(--warn-mark); padding: .1rem 0 .1rem .9rem; overflow-wrap: anywhere; }
.trouble.grave { border-color: var(--bad-mark); }
.trouble p + p { margin-top: .25rem; }
.columns { display: grid; grid-template-columns: 3fr 2fr; gap: 1.1rem 2.5rem; margin-top: 1.1rem; }
.pair { display: flex; flex-wrap: wrap; justify-content: space-between; gap: 0 1rem; }
.pair > :first-child { color: var(--quiet); }
.small { color: var(--quiet); font-size: .85rem; }
.bar { display: block; width: 100%; height: .5rem; margin: .4rem 0 .3rem; }
.bar .track { fill: var(--track); } .bar .left { fill: var(--accent); } .bar .left.low { fill: var(--warn-mark); }
.facts { display: grid; grid-template-columns: auto 1fr; gap: .2rem 1.25rem; margin-top: .9rem; }
.facts dt { color: var(--quiet); }
.warned { color: var(--warn); font-weight: 600; }
figure svg { display: block; width: 100%; height: auto; margin-top: .4rem; }
.history .success { fill: var(--accent); } .history .transient { fill: var(--warn-mark); }
.history .fatal { fill: none; stroke: var(--bad-mark); stroke-width: 2; } .history .base { fill: var(--track); }
figcaption { color: var(--quiet); font-size: .85rem; margin-top: .45rem; }
details { margin-top: .4rem; font-size: .85rem; }
summary { color: var(--quiet); cursor: pointer; width: fit-content; }
details ol { margin: .35rem 0 0; padding: 0; list-style: none; }
details li { display: flex; gap: .75rem; justify-content: space-between; padding: .12rem 0; }
.actions { display: flex; flex-wrap: wrap; gap: .6rem; margin-top: 1.2rem; }
.button {
  display: inline-block; font: inherit; font-size: .93rem; font-weight: 600; line-height: 1.3; text-decoration: none; cursor: pointer;
  border: 1px solid var(--line); border-radius: .5rem; padding: .5rem .95rem; background: transparent; color: var(--ink);
}
.button:hover { border-color: var(--accent); }
.button.primary { background: var(--accent); border-color: var(--accent); color: var(--on-accent); }
.button.primary:hover { text-decoration: underline; }
.button[aria-busy=true] { color: var(--quiet); cursor: progress; }
a { color: var(--accent); text-underline-offset: .15em; }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; border-radius: .3rem; }
code { font: .88em ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; background: var(--track); border-radius: .3rem; padding: .1em .35em; overflow-wrap: anywhere; }
.scroll { position: relative; overflow-x: auto; background: var(--card); border: 1px solid var(--line); border-radius: .75rem; }
.credential .scroll, .explanation, .credential > .none { margin-top: 1rem; }
table { width: 100%; border-collapse: collapse; font-size: .92rem; }
caption { text-align: left; color: var(--quiet); font-size: .85rem; padding: .6rem 1rem 0; }
th, td { text-align: left; vertical-align: baseline; padding: .5rem 1rem; border-top: 1px solid var(--line); }
thead th { color: var(--quiet); font-weight: 500; font-size: .85rem; border-top: 0; white-space: nowrap; }
tbody th { font-weight: 600; }
.number { text-align: right; }
.none, .store { color: var(--quiet); }
.row-actions { white-space: nowrap; } .row-actions form { display: inline; margin-left: .9rem; } .row-actions form:first-child { margin-left: 0; }
td code, th code { white-space: nowrap; }
.link { font: inherit; border: 0; padding: 0; background: none; color: var(--accent); text-decoration: underline; text-underline-offset: .15em; cursor: pointer; }
.bottom { display: flex; flex-wrap: wrap; gap: .3rem 1.25rem; padding: 2.5rem 0 3rem; color: var(--quiet); font-size: .85rem; }
.offline { position: sticky; top: 0; z-index: 1; background: var(--bad-bg); color: var(--bad); padding: .6rem 1.25rem; text-align: center; font-weight: 600; }
.unseen { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
.message { padding-top: clamp(3rem, 18vh, 9rem); max-width: 36rem; }
.message p { margin-top: 1rem; }
.message .button { margin-top: .75rem; }
@media (max-width: 40rem) {
  .top, main, .bottom { width: calc(100% - 2rem); }
  .credential { padding: 1.05rem 1.05rem 1.15rem; }
  .columns { grid-template-columns: 1fr; }
  .facts { gap: .2rem .9rem; }
  th, td { padding-inline: .75rem; }
}
@media (prefers-reduced-motion: no-preference) { .bar .left { transition: width .6s; } }
@media (forced-colors: active) { .button, .state { border: 1px solid; } .bar .track { fill: Canvas; stroke: CanvasText; } .bar .left, .history rect { fill: CanvasText; } }
`
