/** The arrows between rooms: none is for one function alone. */
import { dirname, join } from 'node:path'
import { expect, test } from 'vitest'
import { rooms } from './rooms.ts'
import { sourceFiles } from './support/source-files.ts'

const sources = sourceFiles('src')
const byPath = new Map(sources.map((file) => [file.path, file]))

/** An import or export: `type ` or nothing, the names, the file. */
const importedNames =
  /(?:^|\n)(?:import|export)\s+(type\s+)?(\{[^}]*\}|\*\s+as\s+\w+|\w+)\s+from\s+'(\.[^']+)'/g

/** Arrows for one thing that is written in lower case: what it is, as a function alone is refused. */
const soleDoors: Readonly<Record<string, string>> = {
  'actors: store → projection': 'a namespace: the public class of that room',
  'actors: users-projections → projection': 'a namespace: the public class of that room',
  'inspect: mcp → text': 'a text is cut in one way wherever it is shown',
  'storage: wal → threads': 'makes the thread that the library runs on',
}

const layerOf = (path: string): string => path.split('/')[1] ?? ''

/** The room of a file, or '' when it stands in none. */
const roomOf = (path: string): string => {
  const [, layer = '', room = '', file] = path.split('/')
  return rooms[layer] && file ? room : ''
}

test('no room imports one beside it for one function', () => {
  const namesOf = new Map<string, Set<string>>()
  for (const file of sources)
    for (const [, kind = '', names = '', specifier = ''] of file.text.matchAll(importedNames)) {
      const target = byPath.get(join(dirname(file.path), specifier))?.path ?? ''
      const [from, to] = [roomOf(file.path), roomOf(target)]
      if (!from || !to || from === to || layerOf(file.path) !== layerOf(target)) continue
      const arrow = `${layerOf(target)}: ${from} → ${to}`
      const found = namesOf.get(arrow) ?? new Set()
      for (const name of names.replace(/[{}]/g, '').split(','))
        if (name.trim()) found.add(`${kind}${name.trim()}`)
      namesOf.set(arrow, found)
    }
  expect(namesOf.size).toBeGreaterThan(100)
  const sole = [...namesOf].filter(
    ([, names]) => names.size === 1 && !/^[A-Z]|^type /.test([...names][0] ?? ''),
  )
  expect(sole.map(([arrow]) => arrow).sort()).toEqual(Object.keys(soleDoors))
})
