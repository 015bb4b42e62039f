/**
 * A chart of lines, points with intervals and reference lines as inline SVG. Colours are classes, so that the page's
 * style decides them for light and dark. Scales and paths are d3's, which need no browser.
 */
import { scaleLinear, scaleLog } from 'd3-scale';
import { line } from 'd3-shape';
import { markup, type Markup } from './markup.js';

export interface Point {
  readonly x: number;
  readonly y: number;
  readonly low?: number;
  readonly high?: number;
  /** Shown when pointed at. */
  readonly title: string;
}

export interface Series {
  readonly name: string;
  readonly points: readonly Point[];
}

export interface Reference {
  readonly name: string;
  readonly y: number;
  readonly title: string;
}

export interface ChartOptions {
  readonly title: string;
  readonly xLabel: string;
  readonly yLabel: string;
  readonly series: readonly Series[];
  /** Horizontal lines, each with its name at the right. */
  readonly references?: readonly Reference[];
  /** Where the x axis has marks; default: where d3 finds them good. */
  readonly xTicks?: readonly number[];
  readonly xScale: 'linear' | 'log';
  readonly xFormat?: (value: number) => string;
  readonly yFormat: (value: number) => string;
  /** Whether the y axis begins at 0. */
  readonly fromZero: boolean;
}

const WIDTH = 640;
const HEIGHT = 320;
const MARGIN = { left: 64, right: 120, top: 12, bottom: 44 };
const COLOURS = 6;
/** Names at the right stand at least so far apart. */
const NAME_DISTANCE = 14;
const CAP = 4;

export function chart(options: ChartOptions): Markup {
  const { title, series, references = [], xFormat = String, yFormat } = options;
  const { x, y, xTicks } = scalesOf(options);
  const [left, right] = [MARGIN.left, WIDTH - MARGIN.right];
  const [top, bottom] = [MARGIN.top, HEIGHT - MARGIN.bottom];
  const grid = y
    .ticks(5)
    .map((value) => [
      markup`<line class="grid" x1="${left}" x2="${right}" y1="${at(y(value))}" y2="${at(y(value))}" />`,
      markup`<text class="tick" x="${left - 8}" y="${at(y(value) + 4)}" text-anchor="end">${yFormat(value)}</text>`,
    ]);
  const marks = xTicks.map(
    (value) =>
      markup`<text class="tick" x="${at(x(value))}" y="${bottom + 18}" text-anchor="middle">${xFormat(value)}</text>`,
  );
  const lines = references.map(
    ({ y: value, title: text }) =>
      markup`<line class="reference" x1="${left}" x2="${right}" y1="${at(y(value))}" y2="${at(y(value))}"><title>${text}</title></line>`,
  );
  const names = namesAtTheRight(
    [
      ...references.map((one) => ({ name: one.name, y: y(one.y), style: 'name' })),
      ...series.flatMap(({ name, points }, s) =>
        points.length === 0
          ? []
          : [{ name, y: y(points.at(-1)!.y), style: `name c${s % COLOURS}` }],
      ),
    ],
    right + 8,
    bottom,
  );
  return markup`<figure><svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${title}">
${grid}${marks}${lines}${series.map((one, s) => seriesOf(one, `c${s % COLOURS}`, x, y))}${names}
<line class="axis" x1="${left}" x2="${right}" y1="${bottom}" y2="${bottom}" />
<text class="label" x="${(left + right) / 2}" y="${HEIGHT - 8}" text-anchor="middle">${options.xLabel}</text>
<text class="label" transform="translate(14 ${(top + bottom) / 2}) rotate(-90)" text-anchor="middle">${options.yLabel}</text>
</svg><figcaption>${title}</figcaption></figure>`;
}

type Scale = (value: number) => number;

function scalesOf({ series, references = [], xTicks, xScale, fromZero }: ChartOptions) {
  const points = series.flatMap((one) => one.points);
  const xs = [...points.map((point) => point.x), ...(xTicks ?? [])];
  const ys = [
    ...points.flatMap(({ y, low = y, high = y }) => [low, high]),
    ...references.map((one) => one.y),
    ...(fromZero ? [0] : []),
  ];
  const [least, most] = spread(Math.min(...xs), Math.max(...xs));
  const x = (xScale === 'log' ? scaleLog() : scaleLinear())
    .domain([least, most])
    .range([MARGIN.left + 16, WIDTH - MARGIN.right - 16]);
  const y = scaleLinear()
    .domain(spread(Math.min(...ys), Math.max(...ys)))
    .nice()
    .range([HEIGHT - MARGIN.bottom, MARGIN.top]);
  return { x, y, xTicks: xTicks ?? x.ticks(6) };
}

/** A scale needs two ends that differ. */
const spread = (least: number, most: number): [number, number] =>
  least < most ? [least, most] : [least * 0.5, most === 0 ? 1 : most * 1.5];

const at = (position: number) => Number(position.toFixed(1));

function seriesOf({ name, points }: Series, colour: string, x: Scale, y: Scale): Markup {
  const path = line<Point>()
    .x((point) => at(x(point.x)))
    .y((point) => at(y(point.y)));
  const bars = points.map((point) => {
    const { low, high } = point;
    if (low === undefined || high === undefined) return '';
    const [px, from, to] = [at(x(point.x)), at(y(low)), at(y(high))];
    return markup`<path class="interval" d="M${px} ${from}V${to}M${px - CAP} ${from}h${2 * CAP}M${px - CAP} ${to}h${2 * CAP}" />`;
  });
  const dots = points.map(
    (point) =>
      markup`<circle cx="${at(x(point.x))}" cy="${at(y(point.y))}" r="4"><title>${`${name}: ${point.title}`}</title></circle>`,
  );
  return markup`<g class="${colour}"><path class="line" d="${path(points) ?? ''}" />${bars}${dots}</g>`;
}

/** Names beside their lines, moved apart where they would lie on each other. */
function namesAtTheRight(
  names: readonly { name: string; y: number; style: string }[],
  x: number,
  bottom: number,
): Markup[] {
  const sorted = [...names].sort((a, b) => b.y - a.y);
  let below = bottom + NAME_DISTANCE;
  const places = sorted.map(({ y }) => (below = Math.min(y, below - NAME_DISTANCE)));
  // What was pushed out at the top comes back in, and pushes down what is in its way.
  let above = MARGIN.top - NAME_DISTANCE;
  for (let i = places.length - 1; i >= 0; i--) {
    above = places[i] = Math.max(places[i]!, above + NAME_DISTANCE);
  }
  return sorted.map(
    ({ name, style }, i) =>
      markup`<text class="${style}" x="${x}" y="${at(places[i]! + 4)}">${name}</text>`,
  );
}
