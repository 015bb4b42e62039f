/**
 * Whether the parts of an artifact fit each other and hold usable numbers. The same checks run before an
 * artifact is saved, when it is loaded, and in `nestrec model verify`.
 */
import { idFault, type Manifest, type NamedArray, type NamedArrays } from '@nestrec/contracts';
import { excerpt } from '@nestrec/errors';
import { checkFeatureSpec, featureWidth } from '@nestrec/features';
import {
  ITEM_RESIDUAL,
  itemVectors,
  lambdaMax,
  parameterShapes,
  PROJECTOR_BIAS,
  PROJECTOR_WEIGHT,
  replayEvents,
} from '@nestrec/parameters';
import {
  FEATURES_TENSOR,
  LEARNED_TENSOR,
  LIKENESS_METRIC_TENSOR,
  LIKENESS_SCALES_TENSOR,
  type ArtifactContent,
  type ManifestDraft,
} from './artifact.js';
import { hashItemIds } from './artifact-files.js';
import { refuse, refusing } from './refuse.js';

/** Checks in the order they run; each is named in the report of `verifyArtifact`. */
export interface ContentCheck {
  readonly name: string;
  readonly run: (manifest: ManifestDraft, content: ArtifactContent) => void;
}

export const CONTENT_CHECKS: readonly ContentCheck[] = [
  { name: 'feature specification fits encoder and configuration', run: checkSpec },
  { name: 'item ids are valid, distinct and as many as the model has', run: checkItemIds },
  { name: 'tensors have the names and shapes of the configuration', run: checkShapes },
  { name: 'every number is finite', run: checkFinite },
  { name: 'items were learned, or can be filled from others', run: checkLearned },
  { name: 'lambda max and replay length belong to the weights', run: checkLambda },
  { name: 'every item has a vector of positive length', run: checkItemVectors },
];

/** Throws `InvalidArtifact` at the first fault. */
export function checkContent(manifest: ManifestDraft, content: ArtifactContent): void {
  for (const check of CONTENT_CHECKS) check.run(manifest, content);
}

/** The hash ties `items.json` to the rows of the vectors, even when someone re-hashed the file. */
export function checkItemIdsHash(manifest: Manifest, itemIds: readonly string[]): void {
  if (hashItemIds(itemIds) !== manifest.itemIdsSha256) {
    refuse('items.json: the ids, or their order, differ from those the model was trained on');
  }
}

function checkSpec(manifest: ManifestDraft, { encoder }: ArtifactContent): void {
  refusing('manifest.json', () => checkFeatureSpec(manifest.features, encoder?.width ?? null));
  const width = featureWidth(manifest.features);
  if (width !== manifest.config.featureWidth) {
    refuse(
      `manifest.json: the feature specification has width ${width}, the configuration ` +
        `${manifest.config.featureWidth}`,
    );
  }
}

function checkItemIds({ config }: ManifestDraft, { itemIds }: ArtifactContent): void {
  if (itemIds.length !== config.numItems) {
    refuse(`items.json has ${itemIds.length} ids, the model has ${config.numItems} items`);
  }
  const rowOf = new Map<string, number>();
  itemIds.forEach((id, row) => {
    const fault = idFault(id);
    if (fault !== null) refuse(`items.json: the id of row ${row}, "${excerpt(id)}", ${fault}`);
    const earlier = rowOf.get(id);
    if (earlier !== undefined) {
      refuse(`items.json: rows ${earlier} and ${row} have the same id "${excerpt(id)}"`);
    }
    rowOf.set(id, row);
  });
}

/** Parameters and what else is known of items as one set of tensors, as they stand in the weights file. */
export function allTensors(
  { config, features: spec }: Pick<ManifestDraft, 'config' | 'features'>,
  { parameters, features, learned, likeness }: Omit<ArtifactContent, 'itemIds' | 'encoder'>,
): NamedArrays {
  const { featureWidth: width, numItems } = config;
  const tensors = new Map<string, NamedArray>(parameters);
  if (width > 0) tensors.set(FEATURES_TENSOR, { shape: [numItems, width], data: features });
  if (learned !== undefined) tensors.set(LEARNED_TENSOR, { shape: [numItems], data: learned });
  if (likeness !== undefined) {
    const { metric, scales } = likeness;
    tensors.set(LIKENESS_METRIC_TENSOR, { shape: [width, width], data: metric });
    const shape = [numItems, spec.modalities.length];
    tensors.set(LIKENESS_SCALES_TENSOR, { shape, data: scales });
  }
  return tensors;
}

function wantedShapes(
  { config, features: spec, coldItems }: Pick<ManifestDraft, 'config' | 'features' | 'coldItems'>,
  tensors: NamedArrays,
): Map<string, readonly number[]> {
  const { featureWidth: width, numItems } = config;
  const wanted = new Map<string, readonly number[]>(parameterShapes(config));
  if (width > 0) wanted.set(FEATURES_TENSOR, [numItems, width]);
  if (coldItems === undefined) return wanted;
  wanted.set(LIKENESS_METRIC_TENSOR, [width, width]);
  wanted.set(LIKENESS_SCALES_TENSOR, [numItems, spec.modalities.length]);
  if (tensors.has(LEARNED_TENSOR)) wanted.set(LEARNED_TENSOR, [numItems]);
  return wanted;
}

/** Throws unless `tensors` are exactly those that the manifest asks for, item features included. */
export function checkTensorSet(
  manifest: Pick<ManifestDraft, 'config' | 'features' | 'coldItems'>,
  tensors: NamedArrays,
): void {
  const wanted = wantedShapes(manifest, tensors);
  for (const [name, shape] of wanted) {
    const tensor = tensors.get(name);
    if (tensor === undefined) {
      return refuse(`tensor ${excerpt(name)} is missing; the configuration asks for it`);
    }
    const same =
      tensor.shape.length === shape.length && shape.every((s, i) => s === tensor.shape[i]);
    if (!same || tensor.data.length !== shape.reduce((a, b) => a * b, 1)) {
      refuse(
        `tensor ${excerpt(name)} has shape [${tensor.shape.join(', ')}] and ${tensor.data.length} ` +
          `numbers; the configuration asks for [${shape.join(', ')}]`,
      );
    }
  }
  for (const name of tensors.keys()) {
    if (!wanted.has(name)) refuse(`tensor ${excerpt(name)} is not one of this configuration`);
  }
}

const OWN_TENSORS = [
  FEATURES_TENSOR,
  LEARNED_TENSOR,
  LIKENESS_METRIC_TENSOR,
  LIKENESS_SCALES_TENSOR,
];

function checkShapes(manifest: ManifestDraft, content: ArtifactContent): void {
  for (const name of OWN_TENSORS) {
    if (content.parameters.has(name)) refuse(`a parameter cannot be named ${name}`);
  }
  checkTensorSet(manifest, allTensors(manifest, content));
}

function checkFinite(manifest: ManifestDraft, content: ArtifactContent): void {
  for (const [name, { data }] of allTensors(manifest, content)) {
    let poison = 0;
    for (let i = 0; i < data.length; i++) poison += data[i]! * 0;
    if (poison === 0) continue;
    const at = data.findIndex((value) => !Number.isFinite(value));
    refuse(`tensor ${excerpt(name)} has ${data[at]} at element ${at}`);
  }
}

/** Items that were not learned are filled from those that were. */
function checkLearned(_manifest: ManifestDraft, { learned }: ArtifactContent): void {
  if (learned === undefined) return;
  const at = learned.findIndex((value) => value !== 0 && value !== 1);
  if (at >= 0)
    refuse(`tensor ${LEARNED_TENSOR} has ${learned[at]} at element ${at}; wanted 0 or 1`);
  if (!learned.includes(1)) refuse(`tensor ${LEARNED_TENSOR} says that no item is learned`);
}

const LAMBDA_TOLERANCE = 1e-4;

/** A replay that is too short rebuilds user states wrongly, and nothing later would notice. */
function checkLambda(manifest: ManifestDraft, { parameters }: ArtifactContent): void {
  const measured = lambdaMax(manifest.config, parameters);
  if (!(Math.abs(measured - manifest.lambdaMax) <= LAMBDA_TOLERANCE)) {
    refuse(`manifest.json: lambdaMax is ${manifest.lambdaMax}, the weights have ${measured}`);
  }
  const wanted = replayEvents(manifest.config, manifest.lambdaMax);
  if (manifest.replayEvents < wanted) {
    refuse(`manifest.json: replayEvents is ${manifest.replayEvents}, the weights need ${wanted}`);
  }
}

/**
 * E = P f + p + R must have a direction within the smallest size, hence within every size. Only that
 * prefix is computed: D / m_1 times cheaper than whole rows, which matters when a server starts. Whole
 * rows stay finite when their bound does, which three maxima show.
 */
function checkItemVectors({ config }: ManifestDraft, content: ArtifactContent): void {
  const smallest = config.sizes[0]!;
  const cut = projectionPrefix(config, content.parameters);
  const cutConfig = { ...config, sizes: [smallest] };
  const rowsPerChunk = 4_096;
  for (let from = 0; from < config.numItems; from += rowsPerChunk) {
    const to = Math.min(from + rowsPerChunk, config.numItems);
    const rows = itemVectors(cutConfig, cut, content.features, from, to);
    for (let row = from; row < to; row++)
      checkRow(rows, row, row - from, smallest, content.itemIds);
  }
  if (!rowsAreBounded(config, content)) {
    refuse('item vectors P f + p + R exceed what float32 can hold: the weights have diverged');
  }
}

/** P, p and R cut to the smallest size; P and p as views, R (N x m_1) as a copy. */
function projectionPrefix(config: ManifestDraft['config'], parameters: NamedArrays): NamedArrays {
  const smallest = config.sizes[0]!;
  const width = config.sizes.at(-1)!;
  const cut = new Map<string, NamedArray>();
  const take = (name: string, perCoordinate: number, shape: readonly number[]) => {
    const data = parameters.get(name)!.data.subarray(0, smallest * perCoordinate);
    cut.set(name, { shape, data });
  };
  take(PROJECTOR_BIAS, 1, [smallest]);
  if (config.featureWidth > 0) {
    take(PROJECTOR_WEIGHT, config.featureWidth, [smallest, config.featureWidth]);
  }
  if (config.itemResidual) {
    const whole = parameters.get(ITEM_RESIDUAL)!.data;
    const data = new Float32Array(config.numItems * smallest);
    for (let row = 0; row < config.numItems; row++) {
      data.set(whole.subarray(row * width, row * width + smallest), row * smallest);
    }
    cut.set(ITEM_RESIDUAL, { shape: [config.numItems, smallest], data });
  }
  return cut;
}

function checkRow(
  rows: Float32Array,
  row: number,
  index: number,
  width: number,
  itemIds: readonly string[],
): void {
  let largest = 0;
  for (let i = index * width; i < (index + 1) * width; i++) {
    const size = Math.abs(rows[i]!);
    if (!(size <= 3.4e38)) refuse(`item row ${row} ("${excerpt(itemIds[row])}") is not finite`);
    if (size > largest) largest = size;
  }
  if (largest === 0) {
    refuse(
      `item row ${row} ("${excerpt(itemIds[row])}") is zero in its first ${width} coordinates: ` +
        'it could never be ranked',
    );
  }
}

function rowsAreBounded(config: Manifest['config'], content: ArtifactContent): boolean {
  const largest = (name: string): number => {
    let result = 0;
    for (const value of content.parameters.get(name)?.data ?? []) {
      result = Math.max(result, Math.abs(value));
    }
    return result;
  };
  let featureSum = 0;
  const width = config.featureWidth;
  for (let at = 0; at < content.features.length; at += width) {
    let sum = 0;
    for (let i = at; i < at + width; i++) sum += Math.abs(content.features[i]!);
    featureSum = Math.max(featureSum, sum);
  }
  const bound =
    largest(PROJECTOR_WEIGHT) * featureSum + largest(PROJECTOR_BIAS) + largest(ITEM_RESIDUAL);
  return bound < 1e37;
}
