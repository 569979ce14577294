/** Verifies a log without pauses. */
import { verifying } from '../../src/storage/examination/log-verification.ts'
import type { LogVerification } from '../../src/storage/index.ts'
import { finish } from '../../src/storage/ports/steps.ts'

export const verifyLog = (...log: Parameters<typeof verifying>): LogVerification =>
  finish(verifying(...log))
