(** Eq. 1 (Xiong et al.'s Lemma 3): the Jacobian of layer norm for every width d.

    With y = x − x̄ 1, LN(x) = √d y/‖y‖ and J u = (√d/‖y‖) (u − ū 1 − (⟨y, u⟩/‖y‖²) y):
    ‖J u‖ ≤ (√d/‖y‖) ‖u‖, with equality for some u ≠ 0 from d = 3 on. *)

From Coq Require Import Reals Lra Psatz Lia.
From Coquelicot Require Import Coquelicot.
From TFixup Require Import FiniteSums.
Open Scope R_scope.

Definition average (d : nat) (x : nat -> R) : R := total d x / INR d.
Definition deviation (d : nat) (x : nat -> R) (i : nat) : R := x i - average d x.
Definition dot (d : nat) (x y : nat -> R) : R := total d (fun i => x i * y i).
Definition square (d : nat) (x : nat -> R) : R := total d (fun i => x i ^ 2).

Definition layer_norm (d : nat) (x : nat -> R) (i : nat) : R :=
  sqrt (INR d) * deviation d x i / sqrt (square d (deviation d x)).

(** J u, entry i. *)
Definition jacobian (d : nat) (x u : nat -> R) (i : nat) : R :=
  let y := deviation d x in
  sqrt (INR d) / sqrt (square d y) * (deviation d u i - dot d y u / square d y * y i).

Lemma deviation_sums_to_zero : forall d x, (1 <= d)%nat -> total d (deviation d x) = 0.
Proof.
  intros d x Hd. assert (0 < INR d) by (apply lt_0_INR; lia).
  unfold deviation. rewrite total_minus, total_const. unfold average. field. lra.
Qed.

Lemma dot_deviation : forall d x u, (1 <= d)%nat ->
  dot d (deviation d x) (deviation d u) = dot d (deviation d x) u.
Proof.
  intros d x u Hd. unfold dot.
  rewrite (total_ext d (fun i => deviation d x i * deviation d u i)
    (fun i => deviation d x i * u i - average d u * deviation d x i))
    by (intros; unfold deviation at 2; ring).
  rewrite total_minus, total_scal, deviation_sums_to_zero by assumption. ring.
Qed.

(** The formula is the derivative of layer norm in direction u. *)
Theorem is_derive_layer_norm : forall d x u i, (1 <= d)%nat -> 0 < square d (deviation d x) ->
  is_derive (fun t : R => layer_norm d (fun j => x j + t * u j) i) 0 (jacobian d x u i).
Proof.
  intros d x u i Hd Hy.
  assert (Hlin : forall t j, deviation d (fun j => x j + t * u j) j
                             = deviation d x j + t * deviation d u j).
  { intros t j. unfold deviation, average. rewrite total_plus, total_scal.
    assert (0 < INR d) by (apply lt_0_INR; lia). field. lra. }
  set (p := dot d (deviation d x) u). set (s := square d (deviation d x)) in *.
  set (r := square d (deviation d u)).
  assert (Hsq : forall t, square d (deviation d (fun j => x j + t * u j))
                          = s + 2 * t * p + t ^ 2 * r).
  { intros t. unfold s, r, p. rewrite <- dot_deviation by assumption. unfold square, dot.
    rewrite <- !total_scal, <- !total_plus. apply total_ext; intros. rewrite Hlin. ring. }
  apply (is_derive_ext (fun t : R => sqrt (INR d) * (deviation d x i + t * deviation d u i)
                                     / sqrt (s + 2 * t * p + t ^ 2 * r))).
  { intros t. unfold layer_norm. now rewrite Hsq, Hlin. }
  assert (Hs : 0 < sqrt s) by now apply sqrt_lt_R0.
  assert (E0 : s + 2 * 0 * p + 0 ^ 2 * r = s) by ring.
  auto_derive.
  - replace (s + 2 * 0 * p + 0 * (0 * 1) * r) with s by ring. repeat split; lra.
  - replace (s + 2 * 0 * p + 0 * (0 * 1) * r) with s by ring.
    unfold jacobian. fold p s. clear Hsq. clearbody s.
    assert (Es : s = sqrt s * sqrt s) by (rewrite sqrt_sqrt; lra).
    set (g := sqrt s) in *. clearbody g. rewrite Es. field. lra.
Qed.

(** ‖P u‖² = ‖u − ū‖² − ⟨y, u⟩²/‖y‖². *)
Lemma projected_square : forall d x u, (1 <= d)%nat -> 0 < square d (deviation d x) ->
  square d (jacobian d x u)
  = INR d / square d (deviation d x)
    * (square d (deviation d u) - dot d (deviation d x) u ^ 2 / square d (deviation d x)).
Proof.
  intros d x u Hd Hy. set (y := deviation d x) in *. set (s := square d y) in *.
  set (p := dot d y u). unfold square.
  assert (Hn : 0 < INR d) by (apply lt_0_INR; lia).
  rewrite (total_ext d _ (fun i => INR d / s * (deviation d u i ^ 2
     + ((-2 * (p / s)) * (y i * deviation d u i) + (p / s) ^ 2 * y i ^ 2)))).
  - rewrite total_scal, !total_plus, !total_scal.
    change (total d (fun i => y i * deviation d u i)) with (dot d y (deviation d u)).
    replace (dot d y (deviation d u)) with p by (symmetry; now apply dot_deviation).
    change (total d (fun i => y i ^ 2)) with s.
    change (total d (fun i => deviation d u i ^ 2)) with (square d (deviation d u)).
    change (total d (fun j => deviation d u j ^ 2)) with (square d (deviation d u)).
    field. lra.
  - intros i Hi. unfold jacobian. fold y s p.
    replace ((sqrt (INR d) / sqrt s * (deviation d u i - p / s * y i)) ^ 2)
      with ((sqrt (INR d) * sqrt (INR d)) / (sqrt s * sqrt s)
            * (deviation d u i - p / s * y i) ^ 2)
      by (assert (0 < sqrt s) by (now apply sqrt_lt_R0); field; lra).
    rewrite !sqrt_sqrt by lra. field. lra.
Qed.

Lemma deviation_shrinks : forall d u, (1 <= d)%nat ->
  square d (deviation d u) = square d u - INR d * average d u ^ 2.
Proof.
  intros d u Hd. assert (0 < INR d) by (apply lt_0_INR; lia). unfold square, deviation.
  rewrite (total_ext d _ (fun i => u i ^ 2 + ((-2 * average d u) * u i + average d u ^ 2 * 1)))
    by (intros; ring).
  rewrite !total_plus, !total_scal, total_const.
  replace (total d u) with (INR d * average d u) by (unfold average; field; lra). ring.
Qed.

(** ‖J u‖² ≤ (d/‖x − x̄‖²) ‖u‖². *)
Theorem jacobian_at_most : forall d x u, (1 <= d)%nat -> 0 < square d (deviation d x) ->
  square d (jacobian d x u) <= INR d / square d (deviation d x) * square d u.
Proof.
  intros d x u Hd Hy. rewrite projected_square, (deviation_shrinks d u) by assumption.
  assert (Hn : 0 < INR d) by (apply lt_0_INR; lia).
  apply Rmult_le_compat_l; [apply Rlt_le, Rdiv_lt_0_compat; assumption|].
  assert (0 <= INR d * average d u ^ 2) by (apply Rmult_le_pos; [lra|apply pow2_ge_0]).
  assert (0 <= dot d (deviation d x) u ^ 2 / square d (deviation d x)).
  { apply Rmult_le_pos; [apply pow2_ge_0|apply Rlt_le; now apply Rinv_0_lt_compat]. }
  lra.
Qed.

(** A vector in three coordinates, 0 beyond. *)
Definition three (a b c : R) (i : nat) : R :=
  match i with O => a | 1%nat => b | 2%nat => c | _ => 0 end.

Lemma total_three : forall d f, (3 <= d)%nat -> (forall i, (3 <= i)%nat -> f i = 0) ->
  total d f = f 0%nat + f 1%nat + f 2%nat.
Proof.
  intros d f Hd H. induction d as [|d IH]; [lia|]. destruct (Nat.eq_dec d 2) as [->|Hne].
  - simpl. ring.
  - simpl. rewrite IH by lia. rewrite (H d) by lia. ring.
Qed.

(** Equality for some u ≠ 0: the spectral norm is √d/‖x − x̄‖ exactly. *)
Theorem jacobian_attained : forall d x, (3 <= d)%nat -> 0 < square d (deviation d x) ->
  exists u, 0 < square d u
    /\ square d (jacobian d x u) = INR d / square d (deviation d x) * square d u.
Proof.
  intros d x Hd Hy. set (y := deviation d x).
  assert (Hu : exists a b c, (a <> 0 \/ b <> 0 \/ c <> 0) /\ a + b + c = 0
                 /\ y 0%nat * a + y 1%nat * b + y 2%nat * c = 0).
  { destruct (Req_dec (y 0%nat) (y 1%nat)) as [E|E].
    - exists 1, (-1), 0. rewrite E. repeat split; [left; lra|ring|ring].
    - exists (y 1%nat - y 2%nat), (y 2%nat - y 0%nat), (y 0%nat - y 1%nat).
      repeat split; [right; right; lra|ring|ring]. }
  destruct Hu as (a & b & c & Hne & Hsum & Hdot). exists (three a b c).
  assert (Hsq : square d (three a b c) = a ^ 2 + b ^ 2 + c ^ 2).
  { unfold square. rewrite total_three; [reflexivity|assumption|].
    intros i Hi. destruct i as [|[|[|]]]; try lia. simpl. ring. }
  split.
  - rewrite Hsq. pose proof (pow2_ge_0 a); pose proof (pow2_ge_0 b); pose proof (pow2_ge_0 c).
    destruct Hne as [H'|[H'|H']]; apply pow2_gt_0 in H'; lra.
  - rewrite projected_square, (deviation_shrinks d (three a b c)) by (assumption || lia).
    assert (Ea : average d (three a b c) = 0).
    { unfold average. rewrite total_three; [simpl; rewrite Hsum; field; apply not_0_INR; lia
        |assumption|]. intros i Hi. destruct i as [|[|[|]]]; try lia. reflexivity. }
    assert (Ed : dot d (deviation d x) (three a b c) = 0).
    { unfold dot. rewrite total_three; [exact Hdot|assumption|].
      intros i Hi. destruct i as [|[|[|]]]; try lia. simpl. ring. }
    rewrite Ea, Ed. unfold y. field. lra.
Qed.

(** As printed, ‖J‖ = O(√d/‖x‖), no constant serves: d = 3, x = (c + 1, c − 1, c). *)
Theorem printed_bound_is_false : forall d, d = 3%nat ->
  ~ (exists C, forall x u, 0 < square d (deviation d x) ->
       square d (jacobian d x u) <= C * (INR d / square d x) * square d u).
Proof.
  intros d -> [C H]. set (t := Rabs C + 1). assert (Ht : 1 <= t) by (pose proof (Rabs_pos C); unfold t; lra).
  set (x := three (t + 1) (t - 1) t).
  assert (Ex : square 3 x = 3 * t ^ 2 + 2) by (unfold square, x; simpl; ring).
  assert (Ey : square 3 (deviation 3 x) = 2).
  { unfold square, deviation, average, x. simpl. field. }
  destruct (jacobian_attained 3 x (le_n 3)) as (u & Hu & E); [rewrite Ey; lra|].
  specialize (H x u). rewrite E, Ey, Ex in H. specialize (H ltac:(lra)).
  apply Rmult_le_reg_r in H; [|assumption].
  assert (HC : C <= t) by (pose proof (Rle_abs C); unfold t; lra).
  assert (Hi : 0 < / (3 * t ^ 2 + 2)) by (apply Rinv_0_lt_compat; nra).
  assert (H3 : INR 3 = 3) by (simpl; ring). rewrite H3 in H. unfold Rdiv in H.
  assert (H4 : 3 * / 2 * (3 * t ^ 2 + 2) <= 3 * C).
  { apply Rmult_le_reg_r with (/ (3 * t ^ 2 + 2)); [assumption|].
    rewrite Rmult_assoc, Rinv_r by nra. lra. }
  nra.
Qed.

(** With ‖x − x̄‖ ≥ κ‖x‖ the printed bound holds, with constant 1/κ. *)
Theorem printed_bound_restricted : forall d x u kappa, (1 <= d)%nat -> 0 < kappa ->
  0 < square d x -> kappa ^ 2 * square d x <= square d (deviation d x) ->
  square d (jacobian d x u) <= (/ kappa) ^ 2 * (INR d / square d x) * square d u.
Proof.
  intros d x u kappa Hd Hk Hx H.
  assert (H0 : 0 < kappa ^ 2 * square d x) by (apply Rmult_lt_0_compat; [now apply pow_lt|assumption]).
  eapply Rle_trans; [apply jacobian_at_most; [assumption|lra]|].
  apply Rmult_le_compat_r; [apply total_nonneg; intros; apply pow2_ge_0|].
  replace ((/ kappa) ^ 2 * (INR d / square d x)) with (INR d * / (kappa ^ 2 * square d x))
    by (field; lra).
  apply Rmult_le_compat_l; [apply pos_INR|]. apply Rinv_le_contravar; lra.
Qed.
