import type { ProcessView } from '../../../model/rollout-view.js';
import { useNow } from '../live/hooks.js';
import { Section, Table } from '../parts/layout.js';
import { Ago } from '../parts/moments.js';
import { Chip, Foreign } from '../parts/signs.js';

/** A process that has not been in contact for so long is marked. */
const SILENT_MS = 60_000;

/** Each process of the fleet, the leader first. */
export function ProcessSection({ processes }: { processes: readonly ProcessView[] }) {
  const now = useNow();
  return (
    <Section id="processes" title="Processes of the fleet">
      <Table caption="Processes" head={['Process', 'Role', 'Service', 'Guard', 'Rules', 'Last contact']}>
        {processes.map(({ instance, role, version, serviceVersion, sameRules, lastHeardAt }) => (
          <tr key={instance}>
            <th scope="row">
              <Foreign text={instance} max={80} />
            </th>
            <td>
              <span class="label">Role</span>
              {role}
            </td>
            <td>
              <span class="label">Service</span>
              {serviceVersion === undefined ? '–' : <Foreign text={serviceVersion} max={40} />}
            </td>
            <td>
              <span class="label">Guard</span>
              <Foreign text={version} max={40} />
            </td>
            <td>
              <span class="label">Rules</span>
              {sameRules ? 'the same' : <Chip mood="warn">different</Chip>}
            </td>
            <td>
              <span class="label">Last contact</span>
              {now - lastHeardAt > SILENT_MS ? (
                <Chip mood="warn">
                  <Ago at={lastHeardAt} />
                </Chip>
              ) : (
                <Ago at={lastHeardAt} />
              )}
            </td>
          </tr>
        ))}
      </Table>
    </Section>
  );
}
