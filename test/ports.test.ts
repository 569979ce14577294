/** Each port of an instance has a row in `test/evidence/ports.md`, and what a row names exists. */
import { existsSync, readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { cellsOf } from './support/evidence-table.ts'

/** Fields of `Ports` that are facts about an instance, and have no second side. */
const facts = [
  ...['cache', 'follows', 'abandoned', 'folder', 'shared', 'copied', 'readsFeatures'],
  ...['ownership', 'attach'],
]

/** Ports that the options of an instance bring, and not its machine. */
const ofOptions = ['ClusterEngine', 'Replica']

const source = ['src/supervisors/starting/machine-ports.ts', 'src/members/starting/folder-ports.ts']
  .map((path) => readFileSync(path, 'utf8'))
  .join('\n')
const fieldsOf = (type: string): string[] => {
  const body = new RegExp(`export type ${type} = \\{\\n(.*?)\\n\\}`, 's').exec(source)?.[1] ?? ''
  return [...body.matchAll(/^ {2}readonly (\w+)/gm)].map(([, name = '']) => name)
}
const rows = readFileSync('test/evidence/ports.md', 'utf8')
  .split('\n')
  .map(cellsOf)
  .filter(([port = '']) => port.startsWith('`'))
const pathsIn = (cell = ''): string[] =>
  [...cell.matchAll(/`((?:src|test)\/[^`]+)`/g)].map(([, path = '']) => path)

test('every port of an instance has a row, and every row is of a port', () => {
  const ports = [...fieldsOf('Ports'), ...fieldsOf('FolderPorts'), ...ofOptions]
  const named = rows.map(([port = '']) => port.replaceAll('`', ''))
  expect(named.toSorted()).toEqual(ports.filter((name) => !facts.includes(name)).toSorted())
})

test.each(rows.map((row) => [row[0], row] as const))(
  'the row of %s names what exists',
  (_, row) => {
    const [, real, simulated, , compared] = row
    const paths = [real, simulated, compared].flatMap(pathsIn)
    expect(paths.filter((path) => !existsSync(path))).toEqual([])
    expect(pathsIn(compared).length).toBeGreaterThan(0)
  },
)
