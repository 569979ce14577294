/**
 * What the writer and the reader of structured values agree on: the bytes of msgpack that are in use, our two
 * extensions, and the bounds. The format is durable: what stands here never changes its meaning.
 *
 * The codec is our own because msgpackr, measured and read, cannot carry this format: it writes -0 as 0 and a Map as an
 * object, its extensions are one table a process that any other user of the package may change, and it reads
 * extensions (RegExp, Error, records) that nobody asked for. Everything it writes for plain data reads equal here.
 */

/** First bytes. Those of small integers, maps, arrays and strings hold a count in their low bits. */
export const first = {
  smallMap: 0x80,
  smallArray: 0x90,
  smallText: 0xa0,
  nil: 0xc0,
  false: 0xc2,
  true: 0xc3,
  bytes8: 0xc4,
  bytes16: 0xc5,
  bytes32: 0xc6,
  extension8: 0xc7,
  extension32: 0xc9,
  float64: 0xcb,
  unsigned8: 0xcc,
  unsigned16: 0xcd,
  unsigned32: 0xce,
  unsigned64: 0xcf,
  signed8: 0xd0,
  signed16: 0xd1,
  signed32: 0xd2,
  signed64: 0xd3,
  text8: 0xd9,
  text16: 0xda,
  text32: 0xdb,
  array16: 0xdc,
  array32: 0xdd,
  map16: 0xde,
  map32: 0xdf,
} as const

/**
 * Extensions. `map`: keys and values in turn; `set`: members; both as whole values one after another until the
 * extension ends, always under `extension32`. `time`: msgpack's timestamp of 96 bits, under `extension8`.
 */
export const extension = { map: 1, set: 2, time: 0xff } as const

/** Bytes of a 96-bit timestamp: u32 nanoseconds, i64 seconds. */
export const timeBytes = 12

/** How many containers may lie in one another: far below what the stack bears, far above what data needs. */
export const depthMax = 256

/** The longest encoding of a structured value, in bytes. */
export const structuredBytesMax = 2 ** 30
