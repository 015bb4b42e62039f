/** Numbers as the report shows them. */
import type { Estimate } from '@nestrec/contracts';

/** `.0582` for metrics, which are below 1; `1.0000` at 1. */
export const metric = (value: number) => value.toFixed(4).replace(/^(-?)0\./, '$1.');
export const signed = (value: number) => `${value > 0 ? '+' : ''}${metric(value)}`;

export const interval = ({ low, high }: Estimate, format = metric) =>
  `${format(low)} to ${format(high)}`;

/** Three significant digits, without an exponent for what people read. */
export const short = (value: number) => (value === 0 ? '0' : String(Number(value.toPrecision(3))));

export const percent = (share: number) => `${(100 * share).toFixed(1)} %`;

/** `22,363`. */
export const count = (value: number) => value.toLocaleString('en-GB');

/** `512 B`, `1.5 KiB`, `2 MiB`. */
export function bytes(value: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB'];
  const power = Math.min(units.length - 1, Math.floor(Math.log2(Math.max(1, value)) / 10));
  return `${short(value / 2 ** (10 * power))} ${units[power]}`;
}
