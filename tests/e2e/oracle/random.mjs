// A seeded generator (mulberry32): every actor of the oracle has one of its own, so that a seed repeats each actor's choices.
export function seeded(seed) {
  let state = seed >>> 0
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
  const random = {
    next,
    int: (below) => Math.floor(next() * below),
    chance: (p) => next() < p,
    pick: (list) => list[Math.floor(next() * list.length)],
    /** The first ones far more often than the last. */
    favourite: (list) => list[Math.floor(next() ** 3 * list.length)],
    fork: () => seeded(Math.floor(next() * 4294967296)),
  }
  return random
}

export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms))
