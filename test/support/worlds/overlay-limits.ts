/** Limits of overlays in tests. */
import type { OverlayLimits } from '../../../src/actors/overlay/overlay.ts'

/** What no test reaches. */
export const roomy: OverlayLimits = { bytes: 2 ** 30, keys: 2 ** 20 }
