/**
 * Entries of the directory that one member makes for all. It is apart from `loss-witness.ts` because
 * the terms of a cluster are such entries too.
 */
import { isKeelsonError } from '../../errors.ts'
import type { Directory } from '../../storage/index.ts'
import type { EngineStorage } from '../cluster/engine-loading.ts'

type Calls = InstanceType<EngineStorage['EngineCalls']>

/** A directory, its entries, and the calls to it. */
export type DirectoryParts = {
  readonly storage: EngineStorage
  readonly directory: Directory
  readonly calls: Calls
}

/** Makes an entry, unless it is there. */
export const setOnce = async (
  { storage, directory, calls }: DirectoryParts,
  name: string,
  content: object,
): Promise<void> => {
  const value = storage.directory.entryText(name, content)
  try {
    await calls.ask(() => directory.set(name, 0, value))
  } catch (error) {
    // Another member was first, or an earlier attempt without an answer was.
    if (!isKeelsonError(error, 'CONFLICT')) throw error
  }
}
