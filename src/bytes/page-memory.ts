/**
 * Memory that begins at a page border, which writes past the system's page cache (`O_DIRECT`)
 * require. In JavaScript only WebAssembly makes such memory. Where WebAssembly is missing this is
 * ordinary memory, and the disk writes through the cache. It is apart from the blobs' thread because
 * the contract of the disk uses it too.
 */

/** The part of the global that is used here; our types have no DOM. */
declare const WebAssembly:
  | undefined
  | {
      readonly Memory: new (pages: { readonly initial: number }) => { readonly buffer: ArrayBuffer }
    }

const wasmPageBytes = 64 * 1024

/** `bytes` zero bytes. They take up memory once they are written to. */
export const pageMemory = (bytes: number): Uint8Array => {
  try {
    if (typeof WebAssembly !== 'undefined') {
      const { buffer } = new WebAssembly.Memory({ initial: Math.ceil(bytes / wasmPageBytes) })
      return new Uint8Array(buffer, 0, bytes)
    }
  } catch {
    // WebAssembly reserves guard pages around its memory, which a limit on address space can
    // forbid.
  }
  return new Uint8Array(bytes)
}
