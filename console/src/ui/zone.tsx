import { createContext, use, useState } from 'react';
import type { ReactNode } from 'react';
import { zones } from './format.ts';
import type { Zone } from './format.ts';

const storageKey = 'slipway-zone';

interface ZoneChoice {
  readonly zone: Zone;
  readonly setZone: (zone: Zone) => void;
}

const ZoneContext = createContext<ZoneChoice>({ zone: 'local', setZone: () => undefined });

/** The zone every time on screen is shown in; kept by the browser. */
export function ZoneProvider({ children }: { children: ReactNode }): ReactNode {
  const [zone, setZone] = useState<Zone>(readZone);
  const choose = (chosen: Zone): void => {
    setZone(chosen);
    try {
      localStorage.setItem(storageKey, chosen);
    } catch {
      // Storage is off: the choice lasts as long as the page.
    }
  };
  return <ZoneContext value={{ zone, setZone: choose }}>{children}</ZoneContext>;
}

export function useZone(): ZoneChoice {
  return use(ZoneContext);
}

function readZone(): Zone {
  try {
    return zones.find((zone) => zone === localStorage.getItem(storageKey)) ?? 'local';
  } catch {
    return 'local';
  }
}
