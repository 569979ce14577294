/**
 * What a folder has of the formats: types and flags of frames, features of segments, kinds of units, codes of commands, tags of
 * values, classes of rows, prefixes of the rows that Keelson's own actors keep, versions of files, fields of its JSON, and names
 * of files with their numbers left out. Each is one line of text, so that a list of them can be compared with another one.
 */
import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { viewedBytes, viewOf } from '../../../src/bytes/u64.ts'
import type { Command, Turn, Unit } from '../../../src/storage/commands/command.ts'
import { decodeFrame } from '../../../src/storage/commands/command-decoding.ts'
import { commandTable } from '../../../src/storage/commands/command-table.ts'
import { nodeDisk } from '../../../src/storage/disk/node-disk.ts'
import {
  frameHeaderBytes,
  frameTypes,
  frameTypeVersion,
  groupFlag,
  readFrameHeader,
} from '../../../src/storage/frames/frame.ts'
import { decodeSegmentHeader } from '../../../src/storage/frames/segment-header.ts'
import { knownFeatures } from '../../../src/storage/ports/log-host.ts'
import { rowTags, valueTags } from '../../../src/storage/ports/projection-store.ts'
import { SnapshotReader } from '../../../src/storage/snapshots/snapshot-reader.ts'
import { rowClasses } from '../../../src/storage/values/row-key.ts'
import { filesOf } from './golden-archive.ts'

type Note = (fact: string) => void

/** The facts of a folder, sorted. */
export const formatsOf = (dir: string): string[] => {
  const facts = new Set<string>()
  const note: Note = (fact) => void facts.add(fact)
  for (const path of filesOf(dir)) {
    note(`file ${path.replaceAll(/(?<=[/-])([0-9a-f]{8,}|\d+)/g, '#')}`)
    const whole = join(dir, path)
    if (path.endsWith('.wal')) segment(readFileSync(whole), note)
    else if (path.endsWith('.snap')) snapshot(whole, note)
    else if (path.endsWith('.json')) json(path, readFileSync(whole, 'utf8'), note)
    else if (path.endsWith('MANIFEST')) note(`manifest ${version(readFileSync(whole), 8)}`)
  }
  return [...facts].sort()
}

const version = (bytes: Uint8Array, at: number): number => viewOf(bytes).getUint16(at, true)

const segment = (bytes: Buffer, note: Note): void => {
  const reading = decodeSegmentHeader(bytes.subarray(0, 4096))
  if (reading.kind !== 'good') throw new Error('a segment has no good header')
  const view = viewOf(bytes)
  note(`segment version ${version(bytes, 8)}, least reader ${version(bytes, 10)}`)
  note(`segment features ${view.getUint32(92, true)} and ${view.getUint32(96, true)}`)
  const buffer = viewedBytes(Uint8Array.from(bytes))
  for (let at = 4096; at + frameHeaderBytes <= bytes.length; at += 8) {
    const header = readFrameHeader(buffer, at, reading.header.salt)
    if (!header) continue
    note(`frame type ${header.type}, version ${header.typeVersion}, flags ${header.flags}`)
    if (header.type !== frameTypes.data) continue
    const from = at + frameHeaderBytes
    const { units } = decodeFrame(buffer.bytes.subarray(from, from + header.payloadBytes))
    for (const unit of units) unitOf(unit, note)
  }
}

const unitOf = (unit: Unit, note: Note): void => {
  const { kind } = unit
  if (kind === 'turn') turn(unit, note)
  else if (kind === 'batch') for (const each of unit.commands) command(each, note)
  else if (kind !== 'entry' && kind !== 'removal' && kind !== 'streams') command(unit, note)
  if (['entry', 'removal', 'streams', 'batch'].includes(kind)) note(`unit ${kind}`)
}

const command = (given: Command, note: Note): void => {
  note(`command ${commandTable[given.kind].code} ${given.kind}`)
  const { value, expiry } = given as { value?: { tag: number }; expiry?: { kind: string } }
  if (value) note(`value tag ${value.tag}`)
  if (expiry) note(`expiry ${expiry.kind}`)
}

/** Of a turn the optional parts that it has. */
const turn = (given: Turn, note: Note): void => {
  for (const [part, value] of Object.entries(given))
    if (value !== undefined && part !== 'kind') note(`unit turn with ${part}`)
  for (const each of given.writes) command(each, note)
  for (const [key] of given.rows) row(Buffer.from(key), note)
  for (const [key] of given.own?.changes ?? []) ownRow(given.entity, key, note)
}

const snapshot = (path: string, note: Note): void => {
  const bytes = readFileSync(path)
  note(`snapshot version ${version(bytes, 8)}, rows ${version(bytes, 10)}`)
  note(`snapshot flags ${version(bytes, 12)}`)
  const reader = new SnapshotReader(nodeDisk(), dirname(path), path.slice(dirname(path).length + 1))
  for (const { records } of reader.blocks())
    for (const { key, record } of records) {
      row(Buffer.from(key), note)
      note(`row tag ${record[12]}`)
    }
  reader.close()
}

/** The class of a row: its letter. */
const row = (key: Buffer, note: Note): void => {
  if (key[0] === 0) note(`row class ${String.fromCharCode(key[1] ?? 0)}`)
  else note(key.includes(0) ? 'row class of a field' : 'row class of a value')
}

/** Keelson's own actors have kinds that begin with a `$`: which rows they keep is a format too. */
const ownRow = (entity: string, key: string, note: Note): void => {
  if (!entity.startsWith('$')) return
  const kind = entity.slice(0, entity.indexOf('/')).replace(/(?<=-).*/, '')
  note(`own row of ${kind} ${key.split('/')[0]}`)
}

/** The fields of a file of JSON, in lists too. */
const json = (path: string, text: string, note: Note): void => {
  const name = path.slice(path.lastIndexOf('/') + 1)
  const fields = (value: unknown, at: string): void => {
    if (Array.isArray(value)) for (const each of value) fields(each, `${at}[]`)
    else if (value !== null && typeof value === 'object')
      for (const [field, each] of Object.entries(value)) fields(each, `${at}.${field}`)
    else note(at.endsWith('.format') ? `json ${at} ${value}` : `json ${at}`)
  }
  fields(JSON.parse(text), name)
}

/**
 * What this build may write though no golden folder has it: all of its tables, and files that are there at times. It is part of
 * the list of the formats of a release.
 */
export const knownFormats = (): string[] => [
  ...Object.entries(commandTable).map(([kind, { code }]) => `command ${code} ${kind}`),
  ...Object.values(frameTypes).flatMap((type) =>
    [0, groupFlag].map(
      (flags) => `frame type ${type}, version ${frameTypeVersion}, flags ${flags}`,
    ),
  ),
  ...Object.values({ ...valueTags, ...rowTags }).map((tag) => `row tag ${tag}`),
  ...Object.values(rowClasses).flatMap(({ letter }) => (letter ? [`row class ${letter}`] : [])),
  ...['none', 'at', 'after', 'keep'].map((kind) => `expiry ${kind}`),
  ...[`segment features ${knownFeatures} and 0`, 'snapshot flags 0'],
  ...['unit streams', 'own row of $queue- y0', 'file at-work', 'file LOCK'],
  ...['lmdb/UNPROVEN', 'wal/commitments/#-#.part', 'wal/salvage.json', 'end.json'].map(
    (name) => `file shard-#/${name}`,
  ),
  ...['file shard-#/wal/quarantine/#-#.wal', 'file shard-#/wal/quarantine/#-#.wal-#.cut'],
  ...['waits', 'cache.cluster', 'cache.engine', 'origin.instanceId']
    .concat(['origin.logs[].walId', 'origin.logs[].lsn'])
    .map((field) => `json keelson.json.${field}`),
]
