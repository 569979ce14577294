/**
 * Surveys the files of a log: the MANIFEST, and the header of each segment. It lists all damage, and
 * goes on with the files that can be read. An opening refuses the first of it.
 */
import { isKeelsonError } from '../../errors.ts'
import { corruption, type Damage, unsupported } from '../frames/log-errors.ts'
import { decodeSegmentHeader, segmentHeaderBytes } from '../frames/segment-header.ts'
import { closing, type Disk, type DiskError, pathIn } from '../ports/disk.ts'
import { isFileFailure } from '../ports/disk-failure.ts'
import { manifestName, parseSegmentName } from './log-folder.ts'
import { type ManifestReading, readManifest } from './manifest.ts'
import { brokenPromise, findBreach, type SegmentEntry } from './segment-chain.ts'

/** An unreadable segment, as described by its name. */
export type UnreadableSegment = { readonly seq: number; readonly baseLsn: number }

/** The result of a survey. */
export type LogSurvey = {
  readonly manifest: ManifestReading
  /** The readable segments of this log, sorted by number, each number once. */
  readonly segments: readonly SegmentEntry[]
  /** Segments that exist and cannot be read. */
  readonly unreadable: readonly UnreadableSegment[]
  /** The newest file, if it has no header and was never used. An opening sets it aside. */
  readonly unused?: string
  /** Files that were listed and then gone: the process that writes the log released them. */
  readonly vanished: readonly string[]
  readonly damage: readonly Damage[]
  /** The first failure of the disk to read a file. */
  readonly failure?: DiskError
  readonly remarks: readonly string[]
}

type Gathering = {
  readonly disk: Disk
  readonly dir: string
  readonly manifest: ManifestReading
  readonly segments: SegmentEntry[]
  /** Files with two damaged copies of their header. */
  readonly headless: string[]
  readonly unreadable: UnreadableSegment[]
  readonly vanished: string[]
  readonly damage: Damage[]
  readonly failures: DiskError[]
  readonly remarks: string[]
}

/**
 * Surveys the log in `dir`, or the segments with the names that are `listed`. It reads only headers.
 * A file that cannot be opened or read is damage.
 * @throws KeelsonError `UNSUPPORTED_VERSION` for a MANIFEST or a header of a newer version;
 * DiskError for a failure that is not of one file
 */
export const surveyLog = (
  disk: Disk,
  dir: string,
  listed: (name: string) => boolean = () => true,
): LogSurvey => {
  const damage: Damage[] = []
  const failures: DiskError[] = []
  // The MANIFEST is read first: a log that is written names a segment only after it exists.
  const manifest = surveyManifest(disk, dir, damage, failures)
  if (manifest.unsupported !== undefined)
    throw unsupported(manifestName, { formatVersion: manifest.unsupported })
  const [segments, headless, unreadable, vanished] = [[], [], [], []]
  const found = { segments, headless, unreadable, vanished, damage, failures }
  const gathering: Gathering = { disk, dir, manifest, ...found, remarks: remarksOn(manifest) }
  const names = namesIn(disk, dir).filter((name) => name.endsWith('.wal') && listed(name))
  for (const name of names) readSegment(gathering, name)
  const own = ofOneLog(gathering)
  const newest = names.reduce((most, name) => Math.max(most, parseSegmentName(name)?.seq ?? 0), 0)
  const unused = gathering.headless.filter((name) => !addHeadless(gathering, name, own, newest))
  addBreaches(gathering, own)
  const [failure] = failures
  return {
    manifest,
    segments: own,
    unreadable,
    vanished,
    damage,
    remarks: gathering.remarks,
    ...(unused[0] !== undefined && { unused: unused[0] }),
    ...(failure && { failure }),
  }
}

/**
 * The segments of a sound log.
 * @throws KeelsonError `CORRUPT` with the first damage; `UNSUPPORTED_VERSION`; DiskError
 */
export const soundSurvey = (...place: Parameters<typeof surveyLog>): LogSurvey => {
  const survey = surveyLog(...place)
  if (survey.failure) throw survey.failure
  refuseFirst(survey.damage)
  return survey
}

/** Throws the first of these places. @throws KeelsonError `CORRUPT` */
export const refuseFirst = ([first]: readonly Damage[]): void => {
  if (first) throw corruption(first)
}

const namesIn = (disk: Disk, dir: string): string[] => (disk.entry(dir) ? disk.list(dir) : [])

const surveyManifest = (
  disk: Disk,
  dir: string,
  damage: Damage[],
  failures: DiskError[],
): ManifestReading => {
  const none = { manifest: undefined, exists: true, whole: false, damagedSlots: 2 } as const
  try {
    const obstacle = obstacleAt(disk, dir, manifestName)
    if (obstacle === 'gone') return { ...none, exists: false, damagedSlots: 0 }
    if (obstacle === undefined) return readManifest(disk, dir)
    damage.push(damageOf(manifestName, 1, obstacle))
  } catch (error) {
    if (!isFileFailure(error) && !isKeelsonError(error, 'CORRUPT')) throw error
    if (isFileFailure(error)) failures.push(error)
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
  return namesIn(disk, dir).includes(name) ? 'it is a link to what is not there' : 'gone'
}

const remarksOn = ({ exists, manifest, damagedSlots }: ManifestReading): string[] => {
  if (!exists) return ['MANIFEST is missing']
  if (!manifest) return ['MANIFEST has no readable slot']
  return damagedSlots > 0 ? ['MANIFEST has one damaged slot'] : []
}

const readSegment = (gathering: Gathering, name: string): void => {
  const { disk, dir, vanished, failures } = gathering
  try {
    const obstacle = obstacleAt(disk, dir, name)
    if (obstacle === undefined) readHeader(gathering, name)
    else if (obstacle === 'gone') vanished.push(name)
    else addUnreadable(gathering, name, obstacle)
  } catch (error) {
    if (!isFileFailure(error)) throw error
    if (obstacleAt(disk, dir, name) === 'gone') vanished.push(name)
    else {
      failures.push(error)
      addUnreadable(gathering, name, `it cannot be read: ${error.code}`)
    }
  }
}

const addUnreadable = ({ unreadable, damage }: Gathering, name: string, evidence: string): void => {
  const named = parseSegmentName(name)
  damage.push(damageOf(name, named?.baseLsn ?? 0, evidence))
  if (named) unreadable.push(named)
}

const readHeader = (gathering: Gathering, name: string): void => {
  const { disk, dir, segments, damage, remarks, headless } = gathering
  closing(disk.open(pathIn(dir, name), 'read'), (file) => {
    const block = new Uint8Array(segmentHeaderBytes)
    const reading = decodeSegmentHeader(block.subarray(0, file.read(block, 0)))
    if (reading.kind === 'unsupported') throw unsupported(name, reading)
    const size = file.size()
    if (reading.kind === 'damaged') {
      headless.push(name)
      return
    }
    const { header } = reading
    const named = parseSegmentName(name)
    if (reading.damagedCopies === 1) remarks.push(`${name} has one damaged copy of its header`)
    if (named?.seq !== header.seq || named.baseLsn !== header.baseLsn) {
      const evidence = `its name does not match its header: segment ${header.seq}, first lsn ${header.baseLsn}`
      damage.push(damageOf(name, header.baseLsn, evidence))
    }
    segments.push({ name, size, header })
  })
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
const ofOneLog = ({ manifest, segments, damage }: Gathering): SegmentEntry[] => {
  const own = manifest.manifest?.walId
  const isNamed = segments.some(({ header }) => header.walId === own)
  const walId = isNamed ? own : mostFrequent(segments.map(({ header }) => header.walId))
  const kept: SegmentEntry[] = []
  for (const segment of [...segments].sort((a, b) => a.header.seq - b.header.seq)) {
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

/**
 * Without its header a segment is unreadable: the header has the salt of its checksums. False if the
 * file was never used.
 */
const addHeadless = (
  gathering: Gathering,
  name: string,
  segments: readonly SegmentEntry[],
  newest: number,
): boolean => {
  const { manifest, damage, remarks } = gathering
  const named = parseSegmentName(name)
  if (!named)
    damage.push(damageOf(name, 0, 'its name is not one that this log gives, and it has no header'))
  else if (named.seq === newest && isUnused(newest, manifest, segments)) {
    remarks.push(`${name} has no readable header and was never used; opening sets it aside`)
    return false
  } else
    addUnreadable(
      gathering,
      name,
      'both copies of its header are damaged; none of its frames can be read',
    )
  return true
}

/**
 * The MANIFEST names a segment before anything in it is acknowledged. So a segment after the newest
 * named one holds no acknowledged frame. With a damaged slot it is unknown whether this is the
 * newest named segment.
 */
const isUnused = (
  seq: number,
  { manifest, damagedSlots }: ManifestReading,
  segments: readonly SegmentEntry[],
): boolean =>
  manifest !== undefined &&
  damagedSlots === 0 &&
  manifest.newest.seq < seq &&
  segments.some(({ header }) => header.seq === manifest.newest.seq)

/** Adds the breaches of the chain, place by place. */
const addBreaches = (gathering: Gathering, segments: readonly SegmentEntry[]): void => {
  const { damage, manifest, unreadable } = gathering
  for (const [index, segment] of segments.entries()) {
    const before = segments[index - 1]
    const evidence = before && findBreach(before, segment)
    if (evidence) damage.push(damageOf(segment.name, segment.header.baseLsn, evidence))
  }
  const promised = manifest.manifest
  const isNamed = unreadable.some(({ seq }) => seq === promised?.newest.seq)
  const promise = promised && !isNamed && brokenPromise(segments, promised)
  if (promise) damage.push(damageOf(promise.name, promise.lsn, promise.evidence))
}
