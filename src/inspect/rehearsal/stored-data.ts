/**
 * The stored actors that a command judges: of a data folder or a backup through a copy, or saved
 * cases. It is apart from the rehearsal, because it knows nothing of judges.
 */
import { invalidArgument } from '../../errors.ts'
import { casesIn, type RehearsedParts, StoredParts } from '../../flow/index.ts'
import { nodeDisk } from '../../storage/index.ts'
import type { Environment } from '../command/environment.ts'
import { openedFolder } from '../folder/backup-command.ts'
import { type CopyRequest, withCopy } from '../folder/restored-copy.ts'

/** Stored actors. `asOf`: when they were so, in ms since 1970. */
export type StoredData = { readonly parts: RehearsedParts; readonly asOf: number }

/** Where they are. `endedMax`: how many ended runs of each workflow are read. */
export type StoredDataRequest = CopyRequest & { readonly endedMax: number }

/**
 * Lets `use` have the stored actors. Resolves with its result, or with the exit status after a signal.
 * @throws KeelsonError as `withCopy`; `CORRUPT`, `UNSUPPORTED_VERSION` of saved cases
 */
export const withStoredData = async <T>(
  request: StoredDataRequest,
  environment: Environment,
  use: (data: StoredData) => Promise<T>,
): Promise<T | number> => {
  const { dir, at, endedMax } = request
  const disk = nodeDisk()
  const cases = casesIn(disk, dir)
  if (cases) {
    if (at) throw invalidArgument('at', 'absent with saved cases', at)
    return use({ parts: cases, asOf: cases.asOf })
  }
  return withCopy(disk, request, environment, async ({ data, asOf }) => {
    const app = await openedFolder(data)
    try {
      return await use({ parts: new StoredParts(app, endedMax), asOf })
    } finally {
      await app.close()
    }
  })
}
