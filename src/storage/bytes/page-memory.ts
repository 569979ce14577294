/**
 * Memory that begins at the border of a page, as writing past the system's cache asks, and that threads can share. The one
 * memory of JavaScript with such a border is WebAssembly's; where there is none it is any other, and the disk does without.
 */

/** What is used of the global: our types have no DOM. */
declare const WebAssembly:
  | undefined
  | {
      readonly Memory: new (pages: {
        readonly initial: number
        readonly maximum: number
        readonly shared: true
      }) => { readonly buffer: SharedArrayBuffer }
    }

const wasmPageBytes = 64 * 1024

/** At least so many bytes, all zeros. They take up memory from when they are first written to. */
export const pageMemory = (bytes: number): SharedArrayBuffer => {
  const pages = Math.ceil(bytes / wasmPageBytes)
  try {
    if (typeof WebAssembly !== 'undefined')
      return new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true }).buffer
  } catch {
    // Its guards take address space, which a limit may not leave.
  }
  return new SharedArrayBuffer(pages * wasmPageBytes)
}
