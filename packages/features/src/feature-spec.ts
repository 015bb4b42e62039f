/** What a feature vector f is made of: width, and the faults that a schema cannot see. */
import type { FeatureSpec } from '@nestrec/contracts';
import { excerpt, InvalidModelConfig } from '@nestrec/errors';

/** F: the modality blocks, then one missing indicator per modality if the spec has them. */
export function featureWidth(spec: FeatureSpec): number {
  const blocks = spec.modalities.reduce((sum, modality) => sum + modality.width, 0);
  return blocks + (spec.missingIndicators ? spec.modalities.length : 0);
}

/** Throws `InvalidModelConfig` unless names differ, at most one modality is text, and `textWidth` fits it. */
export function checkFeatureSpec(spec: FeatureSpec, textWidth: number | null): void {
  const names = new Set<string>();
  for (const { name } of spec.modalities) {
    if (names.has(name)) refuse(`two modalities are named "${excerpt(name)}"; names must differ`);
    names.add(name);
  }
  const texts = spec.modalities.filter((modality) => modality.kind === 'text');
  if (texts.length > 1) refuse(`${texts.length} modalities are of kind text; there is one encoder`);
  const [text] = texts;
  if (text === undefined && textWidth !== null) {
    refuse('there is a text encoder, but no modality of kind text');
  }
  if (text !== undefined && textWidth !== text.width) {
    refuse(
      `modality "${excerpt(text.name)}" wants a text encoder of width ${text.width}, got ` +
        `${textWidth === null ? 'none' : `one of width ${textWidth}`}`,
    );
  }
}

function refuse(what: string): never {
  throw new InvalidModelConfig({ detail: `Feature specification: ${what}.` });
}
