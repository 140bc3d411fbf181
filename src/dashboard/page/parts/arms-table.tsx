import type { ComponentChildren } from 'preact';
import type { Arm } from '../../../model/shapes.js';
import { ArmName } from './signs.js';

/**
 * The figures of both arms side by side.
 *
 * @param corner - What stands above the names.
 * @param rows - The name of each figure, and how it is made of an arm.
 */
export function ArmsTable<T>(props: {
  corner?: ComponentChildren;
  rows: readonly (readonly [name: string, of: (arm: T) => ComponentChildren])[];
  arms: Readonly<Record<Arm, T>>;
}) {
  const { corner, rows, arms } = props;
  return (
    <table class="arms" data-testid="arms">
      <thead>
        <tr>
          <td>{corner}</td>
          <th scope="col">
            <ArmName arm="treatment" />
          </th>
          <th scope="col">
            <ArmName arm="control" />
          </th>
        </tr>
      </thead>
      <tbody>
        {rows.map(([name, of]) => (
          <tr key={name}>
            <th scope="row">{name}</th>
            <td>{of(arms.treatment)}</td>
            <td>{of(arms.control)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
