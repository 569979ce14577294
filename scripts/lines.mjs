#!/usr/bin/env node
/**
 * `npm run lines`: the lines of code of `src` and `test`, by room, without blank lines and lines
 * that are only a comment. A room is a folder of a layer; the files of a layer itself are `.`.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'

/** The lines of code in a text. */
export const linesOfCode = (text) => {
  let isInComment = false
  let count = 0
  for (const line of text.split('\n').map((each) => each.trim())) {
    const isComment = isInComment || line.startsWith('/*')
    if (isComment) isInComment = !line.includes('*/')
    else if (line !== '' && !line.startsWith('//')) count += 1
  }
  return count
}

/** The lines of code in each room of the folder `top`, and the number of its files. */
const roomsOf = (top) => {
  const rooms = new Map()
  for (const entry of readdirSync(top, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile() || !/\.m?tsx?$|\.mjs$/.test(entry.name)) continue
    const [, layer = '.', room = '.'] = entry.parentPath.split('/')
    const name = layer === '.' ? '.' : `${layer}/${room}`
    const { files = 0, lines = 0 } = rooms.get(name) ?? {}
    const found = linesOfCode(readFileSync(join(entry.parentPath, entry.name), 'utf8'))
    rooms.set(name, { files: files + 1, lines: lines + found })
  }
  return rooms
}

const row = (name, { files, lines }) =>
  `${name.padEnd(32)}${String(files).padStart(6)}${lines.toLocaleString('en').padStart(10)}`

const print = (top) => {
  const rooms = roomsOf(top)
  const all = { files: 0, lines: 0 }
  console.log(`${top.padEnd(32)}${'files'.padStart(6)}${'lines'.padStart(10)}`)
  for (const [name, counts] of [...rooms].sort(([left], [right]) => left.localeCompare(right))) {
    console.log(row(`  ${name}`, counts))
    all.files += counts.files
    all.lines += counts.lines
  }
  console.log(row('  in all', all))
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href)
  for (const top of ['src', 'test']) print(top)
