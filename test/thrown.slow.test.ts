/** Whatever is thrown is read by `src/thrown.ts` alone. */
import { expect, test } from 'vitest'
import { errorReads } from './support/error-reads.ts'

test('no file reads a part of an Error of others itself', () => {
  expect(errorReads('tsconfig.build.json', '/src/')).toEqual([])
})
