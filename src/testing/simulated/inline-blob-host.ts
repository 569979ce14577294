/** Blobs without a thread, for simulations, on a given disk. */
import { noMore } from '../../check.ts'
import { type BlobHost, type BlobRequestKind, Blobs, type Disk } from '../../storage/index.ts'
import { type AnswerDelay, InlineRequests } from './inline-host.ts'

/** The disk and the delays of an inline host. */
export type InlineBlobHostOptions = AnswerDelay & { readonly disk: Disk }

/** Makes a host. It handles a request when the request before it has been answered. */
export const inlineBlobHost = (
  { disk, ...delay }: InlineBlobHostOptions,
  ...surplus: []
): BlobHost => {
  noMore(surplus, 'inlineBlobHost({ disk, … })')
  const blobs = new Blobs(disk)
  const handle = (kind: BlobRequestKind, request: never) => blobs.handle(kind, request)
  const requests = new InlineRequests({ name: 'The blobs were', handle }, delay)
  return {
    run: (kind, request) => requests.run(kind, request as never) as Promise<never>,
    async end() {
      if (requests.isEnded) return
      requests.isEnded = true
      blobs.abandon()
      requests.refuse()
    },
  }
}
