/** The names of the files in a log's folder. */

/** The MANIFEST. */
export const manifestName = 'MANIFEST'

/** The folder for bytes cut from a torn tail and for files set aside. Keelson never reads it. */
export const quarantineName = 'quarantine'

/** Spare segments, ready or in preparation. At an opening they are leftovers. */
export const spareNames = ['spare-1.tmp', 'spare-2.tmp', 'spare-3.tmp'] as const

/** The spare that creation and opening prepare. */
export const spareName = spareNames[0]

/** A MANIFEST in preparation. */
export const manifestSpareName = 'MANIFEST.tmp'

/** A segment of a sealed log in preparation. */
export const sealedSpareName = 'salvage.tmp'

/**
 * Whether a name belongs to a file in preparation, whose leftovers may be removed. Other `.tmp`
 * files are foreign.
 */
export const isSpareName = (name: string): boolean =>
  [...spareNames, manifestSpareName, sealedSpareName].includes(name)

/** Whether a file of this name makes its folder that of a log. */
export const isLogName = (name: string): boolean =>
  name === manifestName || parseSegmentName(name) !== undefined

const segmentPattern = /^([0-9a-f]{16})-([0-9a-f]{8})\.wal$/

/** The file name of a segment: its first LSN and its number, in hex. */
export const segmentName = (baseLsn: number, seq: number): string =>
  `${baseLsn.toString(16).padStart(16, '0')}-${seq.toString(16).padStart(8, '0')}.wal`

/** The first LSN and number in the name of a segment; `undefined` for other names. */
export const parseSegmentName = (name: string): { baseLsn: number; seq: number } | undefined => {
  const [, base, seq] = segmentPattern.exec(name) ?? []
  if (base === undefined || seq === undefined) return undefined
  return { baseLsn: Number.parseInt(base, 16), seq: Number.parseInt(seq, 16) }
}
