/** The frames of segments as runs of a chain: the port `ChainRun` over a folder. */
import { frameTypes } from '../frames/frame.ts'
import { type FrameEnd, segmentStart } from '../frames/frame-cursor.ts'
import { stampOf, walkFrames } from '../frames/frame-walk.ts'
import { corruption } from '../frames/log-errors.ts'
import type { SegmentHeader } from '../frames/segment-header.ts'
import type { Disk } from '../ports/disk.ts'
import type { ChainRun } from './found-chain.ts'

/** Frames of one segment in `dir`: by default from its first on. */
export type SegmentStretch = {
  readonly name: string
  readonly header: SegmentHeader
  readonly from?: FrameEnd
  readonly to: { readonly offset: number; readonly lsn: number }
}

/** These frames as a run, which reads the file at each walk. */
export const segmentRun = (
  disk: Disk,
  dir: string,
  { name: file, header, from = segmentStart(header), to }: SegmentStretch,
  commits = header.chain?.commits ?? false,
): ChainRun => ({
  from: from.lsn,
  to: to.lsn,
  anchor: header.chain,
  commits,
  walk(take) {
    const stretch = { name: file, header, from, to }
    const { offset, lsn: end } = walkFrames(disk, dir, stretch, (frame, cursor) => {
      const { lsn, type } = frame
      const time = type === frameTypes.data ? stampOf(frame, cursor) : 0
      const payload = cursor.payloadBytes(frame)
      take({ type, lsn, time, file, offset: cursor.frameOffset, payload })
    })
    if (end < to.lsn)
      throw corruption({ file, offset, lsn: end + 1, evidence: 'a frame is damaged' })
  },
})
