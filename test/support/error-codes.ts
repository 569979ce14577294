/** The codes of what is thrown. */
import { KeelsonError } from '../../src/errors.ts'
import { DiskError } from '../../src/storage/ports/disk.ts'

/** The code of what `action` throws, or its text if it has none; `no error` if it throws nothing. */
export const codeOf = (action: () => unknown): string => {
  try {
    action()
  } catch (error) {
    return error instanceof DiskError || error instanceof KeelsonError ? error.code : String(error)
  }
  return 'no error'
}
