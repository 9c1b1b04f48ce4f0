/**
 * Compression codecs. kafkajs ships gzip only, and a batch in an unknown codec kills the consumer; topics are pinned to
 * zstd (the broker recompresses others). Decompression is bounded: a record batch of 9 MB at 1000:1 would be 9 GB.
 */
import { promisify } from 'node:util'
import { gunzip, gzip, zstdCompress, zstdDecompress } from 'node:zlib'
import kafkajs from 'kafkajs'

/** A fetch holds at most a few batches of ≤ 9 MB each; page text shrinks 4 to 10 times, never 14 over a full batch. */
const MAX_DECOMPRESSED_BYTES = 128 * 1024 * 1024

const zip = promisify(gzip)
const unzip = promisify(gunzip)
const compressZstd = promisify(zstdCompress)
const decompressZstd = promisify(zstdDecompress)

export function installCodecs() {
  const { CompressionCodecs, CompressionTypes } = kafkajs
  CompressionCodecs[CompressionTypes.ZSTD] = () => ({
    compress: (encoder: { buffer: Buffer }) => compressZstd(encoder.buffer),
    decompress: (buffer: Buffer) => decompressZstd(buffer, { maxOutputLength: MAX_DECOMPRESSED_BYTES }),
  })
  CompressionCodecs[CompressionTypes.GZIP] = () => ({
    compress: (encoder: { buffer: Buffer }) => zip(encoder.buffer),
    decompress: (buffer: Buffer) => unzip(buffer, { maxOutputLength: MAX_DECOMPRESSED_BYTES }),
  })
}
