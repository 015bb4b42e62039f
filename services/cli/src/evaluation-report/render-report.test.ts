import { evaluationReportSchema, type EvaluationReport } from '@nestrec/contracts';
import { SaxesParser } from 'saxes';
import { describe, expect, it } from 'vitest';
import { around, exampleReport } from '../../../../tests/helpers/example-report.js';
import { renderReport } from './render-report.js';

interface Page {
  readonly faults: string[];
  /** Names of elements, in order. */
  readonly elements: string[];
  readonly attributes: { element: string; name: string; value: string }[];
  readonly text: string;
}

/** The page as a strict parser of XML reads it: every element closed, every value quoted, everything escaped. */
function parse(html: string): Page {
  const page: Page = { faults: [], elements: [], attributes: [], text: '' };
  let text = '';
  const parser = new SaxesParser();
  parser.on('error', (error) => page.faults.push(error.message));
  parser.on('text', (part) => (text += part));
  parser.on('opentag', ({ name, attributes }) => {
    page.elements.push(name);
    for (const [attribute, value] of Object.entries(attributes))
      page.attributes.push({ element: name, name: attribute, value: String(value) });
  });
  parser.write(html).close();
  return { ...page, text };
}

const variants: [string, Partial<EvaluationReport>][] = [
  ['whole', {}],
  ['without seeds, epochs, served indexes', { seeds: null, epochs: null, served: [] }],
  [
    'with epochs that were not evaluated',
    { epochs: exampleReport().epochs!.map((epoch) => ({ ...epoch, bySize: {}, primary: null })) },
  ],
  [
    'of a model with early exits',
    {
      exits: [
        {
          blocks: 1,
          dim: 16,
          ndcg10: around(0.03),
          recall10: around(0.05),
          overFull: around(-0.01),
        },
      ],
    },
  ],
  [
    'of one size',
    {
      sizes: exampleReport().sizes.slice(0, 1),
      comparisons: exampleReport().comparisons.filter(({ dim }) => dim === 16),
    },
  ],
  [
    'of a model that finds nothing',
    {
      sizes: exampleReport().sizes.map((size) => ({
        ...size,
        shareOfFull: null,
        medianMs: 0,
        p95Ms: 0,
        ndcg10: { mean: 0, low: 0, high: 0 },
      })),
    },
  ],
];

describe('report.html', () => {
  it.each(variants)('is well-formed: a report %s', (_name, changes) => {
    const report = evaluationReportSchema.parse(exampleReport(changes));
    const { faults, text } = parse(renderReport(report));
    expect(faults).toEqual([]);
    expect(text).not.toMatch(/NaN|undefined|Infinity|\[object/);
  });

  it('draws no point where there is no number', () => {
    for (const [, changes] of variants) {
      const { attributes } = parse(renderReport(exampleReport(changes)));
      const drawn = attributes.filter(({ name }) => /^(d|c?[xy][12]?|transform)$/.test(name));
      expect(drawn.length).toBeGreaterThan(20);
      expect(drawn.filter(({ value }) => /NaN|Infinity|undefined/.test(value))).toEqual([]);
    }
  });

  it('needs no other file: nothing is loaded, nothing is run', () => {
    const html = renderReport(exampleReport());
    const { elements, attributes } = parse(html);
    expect(html).not.toMatch(/https?:|\/\/|url\(|@import|javascript:/i);
    const loading = [
      'script',
      'link',
      'img',
      'image',
      'iframe',
      'object',
      'embed',
      'use',
      'a',
      'base',
    ];
    expect(elements.filter((name) => loading.includes(name))).toEqual([]);
    expect(
      attributes.filter(({ name }) => /^(src|href|xlink:href|style|on.*)$/.test(name)),
    ).toEqual([]);
  });

  it('escapes every text that comes from outside', () => {
    const evil = `</style><script>alert("1")</script>&'\u0000`;
    const report = exampleReport();
    const html = renderReport({
      ...report,
      model: { ...report.model, version: evil, startedFrom: evil },
      scorers: report.scorers.map((one) => ({ ...one, scorer: evil, about: evil })),
      quality: report.quality.map((one) => ({ ...one, scorer: evil })),
      latency: { ...report.latency, about: evil },
      breakdowns: report.breakdowns.map((one) => ({
        ...one,
        groups: one.groups.map((group) => ({ ...group, label: evil })),
      })),
      seeds: {
        ...report.seeds!,
        versions: [
          { version: evil, seed: 1 },
          { version: evil, seed: 2 },
        ],
      },
    });
    const { faults, elements, text } = parse(html);
    expect(faults).toEqual([]);
    expect(elements).not.toContain('script');
    expect(text).toContain(`</style><script>alert("1")</script>&'\ufffd`);
  });

  it('has colours for light and dark, and no colour outside its style', () => {
    const html = renderReport(exampleReport());
    expect(html).toContain('prefers-color-scheme: dark');
    const { attributes } = parse(html);
    expect(attributes.filter(({ name }) => /^(fill|stroke|color|bgcolor)$/.test(name))).toEqual([]);
  });

  it('shows every figure that decides, with its interval', () => {
    const { text, elements } = parse(renderReport(exampleReport()));
    for (const part of [
      '.0480',
      '.0460 to .0500',
      '96.0 %',
      '94.0 % to 98.0 %',
      '+.0100',
      'fewer than 20 users',
    ])
      expect(text).toContain(part);
    expect(elements.filter((name) => name === 'svg')).toHaveLength(5);
  });

  it('warns of what a reader has to know before believing a figure', () => {
    const report = exampleReport();
    const cautioned = (html: string) =>
      parse(html).attributes.filter(({ value }) => value === 'caution');
    expect(cautioned(renderReport(report))).toHaveLength(0);
    const data = {
      ...report.data,
      protocol: 'temporal' as const,
      trainedOnCases: 7,
      droppedBySample: 1,
      unknownItemEvents: 2,
      untrainedItemEvents: 3,
    };
    const model = { ...report.model, startedFrom: 'v0' };
    expect(cautioned(renderReport({ ...report, data, model }))).toHaveLength(6);
    const newer = { ...report.data, newerEvents: 5 };
    expect(cautioned(renderReport({ ...report, data: newer }))).toHaveLength(1);
  });
});
