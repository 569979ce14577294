/** The parts that fill a data folder, as text. Pure. */
import type { FolderUse } from '../../storage/index.ts'
import { printable } from './paint.ts'
import { bytesText, countText } from './quantities.ts'
import { factList, textTable } from './text-table.ts'

/** A holder of log of a shard, which is kept until the holder has caught up. */
export type LogHolder = { readonly shard: number; readonly by: string; readonly bytes: number }

/** The use of a data folder and its disk, in bytes. */
export type DiskUse = FolderUse & {
  readonly dir: string
  /** `undefined`: the disk does not say. */
  readonly freeBytes: number | undefined
  /** Needed until the next snapshots; `undefined` for a closed folder. */
  readonly neededBytes?: number
  /** The largest one first; none for a closed folder. */
  readonly holders?: readonly LogHolder[]
}

/** So many shards, names and holders are shown. */
const namedMax = 3
const holdersMax = 5

const columns = ['part', '>bytes', '>files', 'most of it']

/** The use as a table of its parts, with the space that the next copies need and what holds the log. */
export const diskText = ({ holders = [], ...use }: DiskUse): string => {
  const { dir, bytes, parts, freeBytes, neededBytes, backupBytes } = use
  const free = freeBytes === undefined ? '' : `, ${bytesText(freeBytes)} free`
  const rows = parts.map((each) => [
    each.part,
    bytesText(each.bytes),
    countText(each.files),
    mostOf(each.of),
  ])
  const facts = factList([
    ...(neededBytes === undefined
      ? []
      : [['needed', `${bytesText(neededBytes)} until the next snapshots`] as const]),
    ['backup', `a first one copies ${bytesText(backupBytes)} at most`],
    ...holders.slice(0, holdersMax).map(holderLine),
    ...(holders.length > holdersMax
      ? [['kept', `and for ${countText(holders.length - holdersMax)} more`] as const]
      : []),
  ])
  const below = [textTable(columns, rows), facts].join('\n')
  return `disk  ${bytesText(bytes)} in ${printable(dir)}${free}\n${below.replace(/^/gm, '  ')}`
}

const holderLine = ({ shard, by, bytes }: LogHolder): readonly [string, string] => [
  'kept',
  printable(`${bytesText(bytes)} of the log of shard ${shard} for ${by}`),
]

const mostOf = (of: FolderUse['parts'][number]['of']): string => {
  const left = of.length - namedMax
  const named = of.slice(0, namedMax).map(({ name, bytes }) => `${name} ${bytesText(bytes)}`)
  return printable(named.join(', ')) + (left > 0 ? ` and ${countText(left)} more` : '')
}
