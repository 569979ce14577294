#!/usr/bin/env node
/**
 * `npm run structure`, or `node scripts/structure.mjs [DIR]` for the tree of any commit: how much of
 * `src` a reader has to know at once.
 *
 * - Arrows: pairs of rooms of one layer, where a file of the first imports one of the second. The
 *   layers that have rooms are those of `test/rooms.ts`.
 * - Long functions: functions of every kind with more than 60 lines, from the first line of their
 *   parameters to the end of their body. A name that is bound to a function is its name.
 * - Files with one importer: files of `src` that exactly one other file of `src` imports, loads with
 *   `import()` or exports from. The `index.ts` of a layer is a door: what is taken through it is
 *   imported by the file that takes it, and an entry of the package imports for its users.
 *   `--doors` counts each door as the one importer instead.
 * - A reason to be apart has a file whose first comment says "Pure", or why it is "apart" from its
 *   importer; a file that is named in `reasonsApart` in `test/tidy.test.ts`; one that its importer loads
 *   with `import()`, so late that many programs never do; and one that is imported from another
 *   folder: no room may hold the code of two.
 * - Casts to `never`, and to lists of it: the compiler checks nothing of such a value.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, normalize, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { createJiti } from 'jiti'
import { parseAst } from 'rolldown/parseAst'

const linesMax = 60

/** Every node of a syntax tree below `node`, with the nearest name above it. */
function* nodesBelow(node, name = '') {
  if (node === null || typeof node !== 'object') return
  const own = Array.isArray(node) ? name : (node.id?.name ?? node.key?.name ?? name)
  if (typeof node.type === 'string') yield [node, own]
  for (const part of Object.values(node)) yield* nodesBelow(part, own)
}

const isCastToNever = ({ type, typeAnnotation: to }) =>
  type === 'TSAsExpression' && (to.elementType ?? to).type === 'TSNeverKeyword'

const isFunction = ({ type, body }) =>
  body && /^(?:FunctionDeclaration|FunctionExpression|ArrowFunctionExpression)$/.test(type)

/** What a node imports, loads or exports from; '' for every other node. */
const specifierOf = ({ type, source }) =>
  /^Import|^Export/.test(type) && typeof source?.value === 'string' ? source.value : ''

/** The pairs of names of an import or export: in the other file, and here. `*`: all names. */
const namesOf = ({ type, specifiers, exported }) =>
  specifiers
    ? specifiers.map(({ imported, local, exported: shown }) => [
        (type === 'ImportDeclaration' ? imported : local)?.name ?? '*',
        (shown ?? local).name,
      ])
    : [['*', exported?.name ?? '*']]

/** One file of `src`: what it imports, its functions and its first comment. */
const sourceFile = (dir, path) => {
  const text = readFileSync(join(dir, path), 'utf8')
  const lineAt = (offset) => text.slice(0, offset).split('\n').length
  const targets = new Set()
  const taken = []
  const functions = []
  let nevers = 0
  for (const [node, name] of nodesBelow(
    parseAst(text, { lang: path.endsWith('x') ? 'tsx' : 'ts' }, path),
  )) {
    const specifier = specifierOf(node)
    if (specifier.startsWith('.')) {
      const target = normalize(join(dirname(path), specifier))
      targets.add(target)
      const when = node.type === 'ImportExpression' ? 'late' : (node.importKind ?? 'value')
      taken.push({ target, names: namesOf(node), when })
    }
    if (isCastToNever(node)) nevers++
    if (isFunction(node))
      functions.push({ path, name, lines: lineAt(node.end) - lineAt(node.start) + 1 })
  }
  return { path, targets, taken, functions, nevers, head: text.slice(0, text.indexOf('*/')) }
}

const sourceFiles = (dir) =>
  readdirSync(join(dir, 'src'), { recursive: true, encoding: 'utf8' })
    .filter((name) => /\.tsx?$/.test(name))
    .sort()
    .map((name) => sourceFile(dir, `src/${name}`))

/** The number of arrows between rooms in each layer that has rooms. */
const arrowsOf = (files, layers) =>
  layers.map((layer) => {
    const roomOf = (path) => new RegExp(`^src/${layer}/([^/]+)/`).exec(path)?.[1]
    const arrows = new Set()
    for (const { path, targets } of files)
      for (const target of targets) {
        const [from, to] = [roomOf(path), roomOf(target)]
        if (from && to && from !== to) arrows.add(`${from} → ${to}`)
      }
    return [layer, arrows.size]
  })

const isDoor = (path) => /^src\/[^/]+\/index\.ts$/.test(path)

/** The files behind a door that have the names which are taken through it. */
const behind = (door, names) =>
  door.taken.filter(
    (export_) =>
      names.some(([name]) => name === '*') ||
      export_.names.some(([, shown]) => shown === '*' || names.some(([name]) => name === shown)),
  )

/** Files with one importer, each with that importer, and whether it loads the file late. */
const singlesOf = (files, entries, countsDoors) => {
  const byPath = new Map(files.map((file) => [file.path, file]))
  const importersOf = new Map()
  const note = (target, path, when) => {
    const importers = importersOf.get(target) ?? new Map()
    importers.set(path, [...(importers.get(path) ?? []), when])
    importersOf.set(target, importers)
  }
  for (const { path, taken } of files)
    for (const { target, names, when } of taken) {
      if (!isDoor(path) || countsDoors || entries.includes(path)) note(target, path, when)
      const door = byPath.get(target)
      if (!countsDoors && door && isDoor(target))
        for (const { target: shown } of behind(door, names)) note(shown, path, when)
    }
  return files.flatMap((file) => {
    const [[importer, times] = [], ...more] = importersOf.get(file.path) ?? []
    if (!importer || more.length > 0) return []
    return [{ ...file, importer, isLate: times.includes('late') && !times.includes('value') }]
  })
}

/** The files that the package shows to its users: what they take is imported by them too. */
const entriesOf = (dir) => {
  const { exports } = JSON.parse(readFileSync(join(dir, 'package.json'), 'utf8'))
  return Object.values(exports).flatMap(({ types }) =>
    types ? [types.replace('./dist/', 'src/').replace('.d.ts', '.ts')] : [],
  )
}

/** The files that `reasonsApart` names. */
const reasonsApartIn = (dir) => {
  const text = readFileSync(join(dir, 'test/tidy.test.ts'), 'utf8')
  const table = /const reasonsApart[^{]*\{([^}]*)\}/.exec(text)?.[1] ?? ''
  return [...table.matchAll(/'(src\/[^']+)':/g)].map(([, path]) => path)
}

const print = async (dir, countsDoors) => {
  const { rooms } = await createJiti(import.meta.url).import(join(dir, 'test/rooms.ts'))
  const files = sourceFiles(dir)
  const functions = files.flatMap((file) => file.functions)
  const long = functions.filter(({ lines }) => lines > linesMax)
  const singles = singlesOf(files, entriesOf(dir), countsDoors)
  const reasons = reasonsApartIn(dir)
  const hasReason = ({ path, importer, isLate, head }) =>
    isLate ||
    dirname(path) !== dirname(importer) ||
    /\b(?:Pure|apart)\b/.test(head) ||
    reasons.includes(path)
  const unexplained = singles.filter((file) => !hasReason(file))
  console.log(`files of src: ${files.length}`)
  for (const [layer, count] of arrowsOf(files, Object.keys(rooms)))
    console.log(`arrows between rooms of ${layer}: ${count}`)
  const nevers = files.reduce((sum, file) => sum + file.nevers, 0)
  console.log(`\ncasts to never: ${nevers}`)
  console.log(`functions: ${functions.length}, with more than ${linesMax} lines: ${long.length}`)
  for (const { path, name, lines } of long.sort((left, right) => right.lines - left.lines))
    console.log(`  ${String(lines).padStart(4)}  ${name || 'without a name'}  ${path}`)
  console.log(`\nfiles with one importer: ${singles.length}`)
  console.log(`of these without a reason: ${unexplained.length}`)
  const show = (single) => console.log(`  ${single.path} ← ${single.importer}`)
  unexplained.forEach(show)
  console.log('of these with a reason:')
  singles.filter(hasReason).forEach(show)
}

const {
  values,
  positionals: [dir = '.'],
} = parseArgs({ allowPositionals: true, options: { doors: { type: 'boolean', default: false } } })
await print(resolve(dir), values.doors)
