/** The names in a log's folder. */

/** The file that promises. */
export const manifestName = 'MANIFEST'

/** Where bytes cut from a torn tail and files set aside are kept. Nothing reads it. */
export const quarantineName = 'quarantine'

/** Segments that are being prepared, or are; leftovers when a log is opened. */
export const spareNames = ['spare-1.tmp', 'spare-2.tmp', 'spare-3.tmp'] as const

/** The one that creating and opening a log prepare. */
export const spareName = spareNames[0]

/** A MANIFEST that is being prepared. */
export const manifestSpareName = 'MANIFEST.tmp'

/** A segment of a salvaged log that is being written. */
export const salvageSpareName = 'salvage.tmp'

/** Whether a name is one of those that are prepared: what is left of them may go. Other `.tmp` files are somebody else's. */
export const isSpareName = (name: string): boolean =>
  [...spareNames, manifestSpareName, salvageSpareName].includes(name)

const segmentPattern = /^([0-9a-f]{16})-([0-9a-f]{8})\.wal$/

/** The name of a segment: its first LSN and its number, in hex. */
export const segmentName = (baseLsn: number, seq: number): string =>
  `${baseLsn.toString(16).padStart(16, '0')}-${seq.toString(16).padStart(8, '0')}.wal`

/** What a name says of a segment; `undefined` when it is no segment's. */
export const parseSegmentName = (name: string): { baseLsn: number; seq: number } | undefined => {
  const [, base, seq] = segmentPattern.exec(name) ?? []
  if (base === undefined || seq === undefined) return undefined
  return { baseLsn: Number.parseInt(base, 16), seq: Number.parseInt(seq, 16) }
}
