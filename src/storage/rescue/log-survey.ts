/**
 * Surveys the files of a log for a complete list of damage. `segment-list.ts` refuses at the first
 * oddity because an opening must not continue; this lists all of them and continues with the
 * readable files.
 */
import { isKeelsonError } from '../../errors.ts'
import { isFileFailure } from '../disk/disk-failure.ts'
import { decodeSegmentHeader, segmentHeaderBytes } from '../frames/segment-header.ts'
import { type Disk, type DiskFile, pathIn } from '../ports/disk.ts'
import { type Damage, unsupported } from '../segments/log-errors.ts'
import { manifestName, parseSegmentName } from '../segments/log-folder.ts'
import { type ManifestReading, readManifest } from '../segments/manifest.ts'
import { brokenPromise, findBreach, type SegmentEntry } from '../segments/segment-chain.ts'

/** An unreadable segment, as described by its name. */
export type UnreadableSegment = { readonly seq: number; readonly baseLsn: number }

/** The result of a survey. */
export type LogSurvey = {
  readonly manifest: ManifestReading
  /** The readable segments of this log, sorted by number, each number once. */
  readonly segments: readonly SegmentEntry[]
  /** Segments that exist and cannot be read. */
  readonly unreadable: readonly UnreadableSegment[]
  /** Files that were listed and then gone: the process that writes the log released them. */
  readonly vanished: readonly string[]
  readonly damage: readonly Damage[]
  readonly remarks: readonly string[]
}

type Gathering = {
  readonly disk: Disk
  readonly dir: string
  readonly manifest: ManifestReading
  /** Files with two damaged copies of their header. */
  readonly headless: string[]
  readonly unreadable: UnreadableSegment[]
  readonly vanished: string[]
  readonly damage: Damage[]
  readonly remarks: string[]
}

/**
 * Surveys the log in `dir`. It reads only headers. A file that cannot be opened or read is damage.
 * @throws KeelsonError `UNSUPPORTED_VERSION` for a MANIFEST or a header of a newer version;
 * DiskError for a failure that is not of one file
 */
export const surveyLog = (disk: Disk, dir: string): LogSurvey => {
  const damage: Damage[] = []
  // The MANIFEST is read first: a log that is written names a segment only after it exists.
  const manifest = surveyManifest(disk, dir, damage)
  if (manifest.unsupported !== undefined)
    throw unsupported(manifestName, { formatVersion: manifest.unsupported })
  const gathering: Gathering = {
    disk,
    dir,
    manifest,
    headless: [],
    unreadable: [],
    vanished: [],
    damage,
    remarks: remarksOn(manifest),
  }
  const names = disk.list(dir).filter((name) => name.endsWith('.wal'))
  const readable = names.flatMap((name) => readSegment(gathering, name) ?? [])
  const segments = ofOneLog(gathering, readable)
  for (const name of gathering.headless) addHeadless(gathering, name, segments)
  addBreaches(gathering, segments)
  const { remarks, unreadable, vanished } = gathering
  return { manifest, segments, unreadable, vanished, damage, remarks }
}

const surveyManifest = (disk: Disk, dir: string, damage: Damage[]): ManifestReading => {
  const none = { manifest: undefined, exists: true, whole: false, damagedSlots: 2 } as const
  const obstacle = obstacleAt(disk, dir, manifestName)
  if (obstacle === 'gone') return { ...none, exists: false, damagedSlots: 0 }
  try {
    if (obstacle === undefined) return readManifest(disk, dir)
    damage.push(damageOf(manifestName, 1, obstacle))
  } catch (error) {
    if (!isFileFailure(error) && !isKeelsonError(error, 'CORRUPT')) throw error
    damage.push(damageOf(manifestName, 1, `it cannot be read: ${error.code}`))
  }
  return none
}

/** Why a name is not a file that can be opened; `gone` if it does not exist. */
const obstacleAt = (disk: Disk, dir: string, name: string): string | undefined => {
  const kind = disk.entry(pathIn(dir, name))?.kind
  if (kind === 'file') return undefined
  if (kind === 'folder') return 'it is a folder, and should be a file'
  if (kind === 'other') return 'it is no plain file'
  return disk.list(dir).includes(name) ? 'it is a link to what is not there' : 'gone'
}

const remarksOn = ({ exists, manifest, damagedSlots }: ManifestReading): string[] => {
  if (!exists) return ['MANIFEST is missing']
  if (!manifest) return ['MANIFEST has no readable slot']
  return damagedSlots > 0 ? ['MANIFEST has one damaged slot'] : []
}

const readSegment = (gathering: Gathering, name: string): SegmentEntry | undefined => {
  const { disk, dir, vanished } = gathering
  try {
    const obstacle = obstacleAt(disk, dir, name)
    if (obstacle === undefined) return readHeader(gathering, name)
    if (obstacle === 'gone') vanished.push(name)
    else addUnreadable(gathering, name, obstacle)
  } catch (error) {
    if (!isFileFailure(error)) throw error
    if (obstacleAt(disk, dir, name) === 'gone') vanished.push(name)
    else addUnreadable(gathering, name, `it cannot be read: ${error.code}`)
  }
  return undefined
}

const addUnreadable = ({ unreadable, damage }: Gathering, name: string, evidence: string): void => {
  const named = parseSegmentName(name)
  damage.push(damageOf(name, named?.baseLsn ?? 0, evidence))
  if (named) unreadable.push(named)
}

const readHeader = (gathering: Gathering, name: string): SegmentEntry | undefined => {
  const { disk, dir, damage, remarks, headless } = gathering
  const file = disk.open(pathIn(dir, name), 'read')
  try {
    const reading = decodeSegmentHeader(readBlock(file))
    if (reading.kind === 'unsupported') throw unsupported(name, reading)
    const size = file.size()
    if (reading.kind === 'damaged') {
      headless.push(name)
      return undefined
    }
    const { header } = reading
    const named = parseSegmentName(name)
    if (reading.damagedCopies === 1) remarks.push(`${name} has one damaged copy of its header`)
    if (named?.seq !== header.seq || named.baseLsn !== header.baseLsn)
      damage.push(
        damageOf(
          name,
          header.baseLsn,
          `its name does not match its header: segment ${header.seq}, first lsn ${header.baseLsn}`,
        ),
      )
    return { name, size, header }
  } finally {
    file.close()
  }
}

const readBlock = (file: DiskFile): Uint8Array => {
  const block = new Uint8Array(segmentHeaderBytes)
  return block.subarray(0, file.read(block, 0))
}

const damageOf = (file: string, lsn: number, evidence: string): Damage => ({
  file,
  offset: 0,
  lsn,
  evidence,
})

/**
 * The segments of the log that the MANIFEST names, or else of the most frequent id; each number
 * once.
 */
const ofOneLog = (
  { manifest, damage }: Gathering,
  readable: readonly SegmentEntry[],
): SegmentEntry[] => {
  const own = manifest.manifest?.walId
  const isNamed = readable.some(({ header }) => header.walId === own)
  const walId = isNamed ? own : mostFrequent(readable.map(({ header }) => header.walId))
  const kept: SegmentEntry[] = []
  for (const segment of [...readable].sort((a, b) => a.header.seq - b.header.seq)) {
    const { name, header } = segment
    const twin = kept.at(-1)
    if (header.walId !== walId)
      damage.push(damageOf(name, header.baseLsn, `it belongs to another log, ${header.walId}`))
    else if (twin?.header.seq === header.seq)
      damage.push(damageOf(name, header.baseLsn, `${twin.name} has the same number`))
    else kept.push(segment)
  }
  return kept
}

const mostFrequent = (ids: readonly string[]): string | undefined => {
  const counts = new Map<string, number>()
  for (const id of ids) counts.set(id, (counts.get(id) ?? 0) + 1)
  return [...counts].sort(([, a], [, b]) => b - a)[0]?.[0]
}

/** Without its header a segment is unreadable: the header has the salt of its checksums. */
const addHeadless = (
  gathering: Gathering,
  name: string,
  segments: readonly SegmentEntry[],
): void => {
  const { manifest, damage, remarks } = gathering
  const named = parseSegmentName(name)
  if (!named)
    damage.push(damageOf(name, 0, 'its name is not one that this log gives, and it has no header'))
  else if (wasNeverUsed(named.seq, manifest, segments))
    remarks.push(`${name} has no readable header and was never used; opening sets it aside`)
  else
    addUnreadable(
      gathering,
      name,
      'both copies of its header are damaged; none of its frames can be read',
    )
}

/** As in `segment-list.ts`: the MANIFEST names a segment before anything in it is acknowledged. */
const wasNeverUsed = (
  seq: number,
  { manifest, damagedSlots }: ManifestReading,
  segments: readonly SegmentEntry[],
): boolean =>
  manifest !== undefined &&
  damagedSlots === 0 &&
  manifest.newest.seq < seq &&
  segments.every(({ header }) => header.seq < seq) &&
  segments.some(({ header }) => header.seq === manifest.newest.seq)

/** Adds the breaches of the chain, place by place. */
const addBreaches = (gathering: Gathering, segments: readonly SegmentEntry[]): void => {
  const { damage, manifest, unreadable } = gathering
  for (const [index, segment] of segments.entries()) {
    const before = segments[index - 1]
    if (!before) continue
    const breach = findBreach([before, segment], undefined)
    if (breach) damage.push(damageOf(breach.name, breach.lsn, breach.evidence))
  }
  const promised = manifest.manifest
  const isNamed = unreadable.some(({ seq }) => seq === promised?.newest.seq)
  const promise = promised && !isNamed && brokenPromise(segments, promised)
  if (promise) damage.push(damageOf(promise.name, promise.lsn, promise.evidence))
}
