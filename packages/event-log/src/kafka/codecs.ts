/**
 * Compression of record batches. kafkajs brings gzip; the others are registered here, from packages that
 * ship binaries or need none.
 */
import { decompress as decompressZstd } from 'fzstd';
import kafkajs from 'kafkajs';
import { compressFrame, decompressFrame } from 'lz4-napi';
import { compress as compressSnappy, uncompress as uncompressSnappy } from 'snappy';

interface Encoder {
  readonly buffer: Buffer;
}
interface Codec {
  compress(encoder: Encoder): Promise<Buffer>;
  decompress(buffer: Buffer): Promise<Buffer>;
}

/** Header of the framing that Kafka's Java clients put around snappy blocks (xerial's snappy-java). */
const XERIAL_MAGIC = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0x00]);
/** Magic, version, least compatible version. */
const XERIAL_HEADER_BYTES = 16;

const snappy: Codec = {
  compress: ({ buffer }) => compressSnappy(buffer),
  decompress: async (buffer) => {
    if (!buffer.subarray(0, XERIAL_MAGIC.length).equals(XERIAL_MAGIC)) return uncompress(buffer);
    const blocks: Buffer[] = [];
    for (let at = XERIAL_HEADER_BYTES; at < buffer.length;) {
      const bytes = buffer.readUInt32BE(at);
      blocks.push(await uncompress(buffer.subarray(at + 4, at + 4 + bytes)));
      at += 4 + bytes;
    }
    return Buffer.concat(blocks);
  },
};

async function uncompress(block: Buffer): Promise<Buffer> {
  return (await uncompressSnappy(block, { asBuffer: true })) as Buffer;
}

const lz4: Codec = {
  compress: ({ buffer }) => compressFrame(buffer),
  decompress: (buffer) => decompressFrame(buffer),
};

const zstd: Codec = {
  compress: () => Promise.reject(new Error('zstd is read only; write gzip, snappy or lz4')),
  decompress: (buffer) => Promise.resolve(Buffer.from(decompressZstd(buffer))),
};

/** Makes kafkajs read (and, but for zstd, write) every codec of Kafka. Safe twice. */
export function registerCodecs(): void {
  const { CompressionCodecs, CompressionTypes } = kafkajs;
  CompressionCodecs[CompressionTypes.Snappy] = () => snappy;
  CompressionCodecs[CompressionTypes.LZ4] = () => lz4;
  CompressionCodecs[CompressionTypes.ZSTD] = () => zstd;
}
