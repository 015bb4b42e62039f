/**
 * ONNX files as bytes: the messages of onnx.proto that a plain inference graph needs, encoded by protobufjs.
 *
 * Knows nothing of models or operators. Field numbers are those of the ONNX standard and never change; what is
 * left out here (functions, sparse tensors, training) a reader takes as absent.
 */
import { InvalidParameter } from '@nestrec/errors';
import { littleEndianBytes } from '@nestrec/tensor-files';
import protobuf from 'protobufjs';

const SCHEMA = `
syntax = "proto3";
message ModelProto {
  int64 ir_version = 1;
  string producer_name = 2;
  string producer_version = 3;
  string doc_string = 6;
  GraphProto graph = 7;
  repeated OperatorSetIdProto opset_import = 8;
  repeated StringStringEntryProto metadata_props = 14;
}
message OperatorSetIdProto { string domain = 1; int64 version = 2; }
message StringStringEntryProto { string key = 1; string value = 2; }
message GraphProto {
  repeated NodeProto node = 1;
  string name = 2;
  repeated TensorProto initializer = 5;
  repeated ValueInfoProto input = 11;
  repeated ValueInfoProto output = 12;
}
message NodeProto {
  repeated string input = 1;
  repeated string output = 2;
  string name = 3;
  string op_type = 4;
  repeated AttributeProto attribute = 5;
}
message AttributeProto {
  string name = 1;
  int64 i = 3;
  AttributeType type = 20;
  enum AttributeType { UNDEFINED = 0; INT = 2; }
}
message TensorProto {
  repeated int64 dims = 1;
  DataType data_type = 2;
  repeated int64 int64_data = 7;
  string name = 8;
  bytes raw_data = 9;
  enum DataType { UNDEFINED = 0; FLOAT = 1; INT64 = 7; }
}
message ValueInfoProto { string name = 1; TypeProto type = 2; string doc_string = 3; }
message TypeProto {
  oneof value { Tensor tensor_type = 1; }
  message Tensor { TensorProto.DataType elem_type = 1; TensorShapeProto shape = 2; }
}
message TensorShapeProto {
  repeated Dimension dim = 1;
  message Dimension { oneof value { int64 dim_value = 1; string dim_param = 2; } }
}`;

/** The IR version that came with opset 13, ONNX 1.8 of 2020: every runtime since reads it. */
const IR_VERSION = 7;
/** What one protobuf message may have. */
const MAX_BYTES = 2 ** 31 - 1;

/** A constant of a graph: numbers, or whole numbers (shapes, indices). */
export interface Constant {
  readonly name: string;
  readonly shape: readonly number[];
  readonly data: Float32Array | readonly number[];
}

export interface GraphNode {
  readonly name: string;
  readonly operator: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  /** Whole-number attributes: the only kind needed. */
  readonly attributes: Readonly<Record<string, number>>;
}

/** A float32 input or output; a dimension that may be any size has a name. */
export interface GraphPort {
  readonly name: string;
  readonly shape: readonly (number | string)[];
  readonly about: string;
}

export interface OnnxModel {
  readonly name: string;
  readonly about: string;
  readonly opset: number;
  readonly producerVersion: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly inputs: readonly GraphPort[];
  readonly outputs: readonly GraphPort[];
  readonly constants: readonly Constant[];
  /** In an order in which every node comes after those that it reads from. */
  readonly nodes: readonly GraphNode[];
}

const messages = protobuf.parse(SCHEMA).root;

/**
 * The model as a .onnx file.
 *
 * @throws InvalidParameter where it would be 2 GiB or more, which the format cannot hold.
 */
export function encodeOnnx(model: OnnxModel): Uint8Array {
  assertHolds(model.constants.reduce((sum, { data }) => sum + 4 * data.length, 0));
  const type = messages.lookupType('ModelProto');
  const bytes = type.encode(type.fromObject(toMessage(model))).finish();
  assertHolds(bytes.length);
  return bytes;
}

/** Checks a size, in bytes, before memory is taken for it. */
export function assertHolds(bytes: number): void {
  if (bytes <= MAX_BYTES) return;
  throw new InvalidParameter({
    detail: `the ONNX file would have ${bytes} bytes; the format holds ${MAX_BYTES}. Take a smaller size.`,
  });
}

function toMessage(model: OnnxModel): Record<string, unknown> {
  return {
    irVersion: IR_VERSION,
    producerName: 'nestrec',
    producerVersion: model.producerVersion,
    docString: model.about,
    opsetImport: [{ domain: '', version: model.opset }],
    metadataProps: Object.entries(model.metadata).map(([key, value]) => ({ key, value })),
    graph: {
      name: model.name,
      node: model.nodes.map(({ name, operator, inputs, outputs, attributes }) => ({
        ...{ name, opType: operator, input: inputs, output: outputs },
        attribute: Object.entries(attributes).map(([key, i]) => ({ name: key, i, type: 'INT' })),
      })),
      initializer: model.constants.map(toTensor),
      input: model.inputs.map(toValueInfo),
      output: model.outputs.map(toValueInfo),
    },
  };
}

function toTensor({ name, shape, data }: Constant): Record<string, unknown> {
  return data instanceof Float32Array
    ? { name, dims: shape, dataType: 'FLOAT', rawData: littleEndianBytes(data) }
    : { name, dims: shape, dataType: 'INT64', int64Data: data };
}

function toValueInfo({ name, shape, about }: GraphPort): Record<string, unknown> {
  const dim = shape.map((size) =>
    typeof size === 'string' ? { dimParam: size } : { dimValue: size },
  );
  return {
    ...{ name, docString: about },
    type: { tensorType: { elemType: 'FLOAT', shape: { dim } } },
  };
}
