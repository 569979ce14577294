/** A disk for each test of a contract, with a folder of its own, and words for the tests. */
import { afterEach, beforeEach, expect } from 'vitest'
import type { Disk, DiskError } from '../../src/storage/ports/disk.ts'

/** A disk, and an empty folder on it for one test. */
export type DiskUnderTest = { readonly disk: Disk; readonly dir: string; readonly end: () => void }

/** The disk of the test that runs. */
export type DiskBench = Omit<DiskUnderTest, 'end'> & {
  /** A path in its folder. */
  readonly at: (path: string) => string
  readonly put: (path: string, content: string) => void
  readonly get: (path: string) => string
}

export const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
export const text = (content: Uint8Array): string => new TextDecoder().decode(content)

/** The code of the `DiskError` that `action` throws. */
export const codeOf = (action: () => unknown): string => {
  try {
    action()
  } catch (error) {
    expect(error).toMatchObject({ name: 'DiskError', operation: expect.any(String) })
    return (error as DiskError).code
  }
  return 'no error'
}

/** Starts a disk before each test of the present `describe`, and ends it after. */
export const diskBench = (start: () => DiskUnderTest): DiskBench => {
  let under: DiskUnderTest
  beforeEach(() => {
    under = start()
  })
  afterEach(() => under.end())
  const at = (path: string): string => `${under.dir}/${path}`
  return {
    get disk() {
      return under.disk
    },
    get dir() {
      return under.dir
    },
    at,
    put: (path, content) => {
      const file = under.disk.open(at(path), 'create')
      expect(file.write(bytes(content), 0)).toBe(content.length)
      file.close()
    },
    get: (path) => {
      const file = under.disk.open(at(path), 'read')
      const into = new Uint8Array(file.size())
      expect(file.read(into, 0)).toBe(into.length)
      file.close()
      return text(into)
    },
  }
}
