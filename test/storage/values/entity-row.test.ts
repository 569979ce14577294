import { expect, test } from 'vitest'
import {
  entityRow,
  hasMark,
  mainRowOf,
  readEntityRow,
} from '../../../src/storage/values/entity-row.ts'

for (const incarnation of ['0123456789abcdef', 'fedcba9876543210', 'a09f00000000ff90'])
  test(`a main row has the mark that was written: ${incarnation}`, () => {
    const mark = { incarnation, seq: 2 ** 53 - 1 }
    const row = entityRow(mainRowOf(mark, Buffer.from('body')))

    const read = readEntityRow(row)

    expect(read.mark).toEqual(mark)
    expect(Buffer.from(read.body).toString()).toBe('body')
    expect(hasMark(row, mark)).toBe(true)
    expect(hasMark(row, { ...mark, seq: mark.seq - 1 })).toBe(false)
    expect(hasMark(row, { ...mark, incarnation: incarnation.replace('9', '8') })).toBe(false)
  })
