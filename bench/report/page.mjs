/**
 * The frame of a report's HTML page, and the style that its charts share.
 *
 * Always true: the page asks for nothing from anywhere; light and dark follow the reader's system. A chart that stands
 * alone as a file carries the same colours inside it.
 */
import { escapeText } from './svg.mjs';

const PALETTE = `
:root{--back:#fff;--text:#1d2330;--soft:#667085;--line:#d9dee8;--card:#f7f8fb;
--c0:#1763d6;--c1:#e07a1f;--c2:#2a9d5c;--c3:#9a4fd0;--c4:#cf3b5b;--c5:#0d9aa8;--c6:#8a6d3b;--c7:#5b6472}
@media(prefers-color-scheme:dark){:root{--back:#12151c;--text:#e6e9f0;--soft:#98a2b3;--line:#2c3342;--card:#191e28;
--c0:#5b9bff;--c1:#f0a04b;--c2:#4fc785;--c3:#c08af0;--c4:#f07088;--c5:#3cc8d6;--c6:#c4a56a;--c7:#9aa5b5}}
`;

const CHART_STYLE = `svg text{fill:var(--text)}svg text.value{font-variant-numeric:tabular-nums}
svg text.group{font-weight:600}svg text.inside{fill:#fff;font-size:11px}.grid{stroke:var(--line);stroke-width:1}.spread{stroke:var(--text);stroke-width:2}.piece{stroke:var(--card);stroke-width:1}
${[0, 1, 2, 3, 4, 5, 6, 7].map((n) => `.fill-${n}{fill:var(--c${n})}.line-${n}{fill:none;stroke:var(--c${n});stroke-width:2.5}`).join('')}`;

const STYLE = `
${PALETTE}:root{color-scheme:light dark}
*{box-sizing:border-box}body{margin:0;background:var(--back);color:var(--text);font:15px/1.5 system-ui,sans-serif}
main{max-width:920px;margin:0 auto;padding:24px 20px 60px}h1{font-size:28px;margin:0 0 12px}
h2{font-size:21px;margin:44px 0 2px}h3{font-size:15px;margin:18px 0 6px;font-weight:600}p{margin:0 0 8px;color:var(--soft)}
nav{display:flex;flex-wrap:wrap;gap:6px 14px;margin:14px 0}a{color:var(--c0)}
.wide{overflow-x:auto}table{border-collapse:collapse;width:100%;font-size:13.5px}td,th{text-align:left;padding:4px 14px 4px 0;border-bottom:1px solid var(--line);vertical-align:top}
td.number,th.number{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}details{margin-top:10px}summary{cursor:pointer;color:var(--soft)}
p.below{margin-top:8px}.facts td:first-child{color:var(--soft);white-space:nowrap}.fault{color:var(--c4)}.good{color:var(--c2)}
figure{margin:0 0 8px;padding:12px 14px;background:var(--card);border-radius:8px}
svg{width:100%;height:auto;display:block;font:13px system-ui,sans-serif}
${CHART_STYLE}`;

/** A whole page; `body` is HTML. */
export function pageOf(title, body) {
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<title>Sluice: ${escapeText(title.toLowerCase())}</title><style>${STYLE}</style></head>
<body><main><h1>${escapeText(title)}</h1>
${body}
</main></body></html>
`;
}

/** One of the charts of svg.mjs as a file of its own. */
export function chartFile(svg) {
  const style = `<style>${PALETTE}svg{font:13px system-ui,sans-serif}${CHART_STYLE}</style><rect width="100%" height="100%" fill="var(--back)"/>`;
  return `${svg.replace('<svg ', '<svg xmlns="http://www.w3.org/2000/svg" ').replace('</title>', `</title>${style}`)}\n`;
}

/** What was not kept, or that everything was. */
export function verdict(faults) {
  if (faults.length === 0) return '<p class="good">Nothing was lost that was promised.</p>';
  return `<ul class="fault">${faults.map((fault) => `<li>${escapeText(fault)}</li>`).join('')}</ul>`;
}
