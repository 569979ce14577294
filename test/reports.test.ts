/** The pages of `test/reports` name public reports of other projects, and tests that exist. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { cellsOf } from './support/evidence-table.ts'

const pages = readdirSync('test/reports').filter((name) => name !== 'README.md')

test('the index names each page', () => {
  const index = readFileSync('test/reports/README.md', 'utf8')
  const named = [...index.matchAll(/\]\(([\w-]+\.md)\)/g)].map(([, name]) => name)
  expect(named.toSorted()).toEqual(pages.toSorted())
})

describe.each(pages)('test/reports/%s', (name) => {
  const rows = readFileSync(`test/reports/${name}`, 'utf8')
    .split('\n')
    .map(cellsOf)
    .filter(([report = '']) => /^[\w.-]+\/[\w.-]+ #\d+$/.test(report))

  test('has reports, each once', () => {
    const reports = rows.map(([report]) => report)
    expect(reports.length).toBeGreaterThan(3)
    expect(new Set(reports).size).toBe(reports.length)
  })

  test.each(rows.map((row) => [row[0], row] as const))('%s is shown by tests', (_, row) => {
    const files = [...(row.at(-1) ?? '').matchAll(/`(test\/[^`]+)`/g)].map(([, file = '']) => file)
    expect(files.length).toBeGreaterThan(0)
    expect(files.filter((file) => !existsSync(file))).toEqual([])
  })
})
