(** The step of [FiniteStep] taken: η|g|K/2 ≤ |ΔG| ≤ 3η|g|K/2 for every η ≤ 1/(M₂ |g|),
    M₂ = 2R + 10R⁵ + 8R⁹ at R = B + 1, free of n and of L. *)

From Coq Require Import Reals Lra Psatz Lia.
From Coquelicot Require Import Coquelicot.
From TFixup Require Import FiniteSums Attention Gradient Bounds SecondDerivative FiniteStep.
Open Scope R_scope.

(** A function on [0, 1] whose derivative is at most that of another grows by at most as much. *)
Lemma grows_less : forall (f df h dh : R -> R),
  (forall u, 0 <= u <= 1 -> is_derive f u (df u)) ->
  (forall u, 0 <= u <= 1 -> is_derive h u (dh u)) ->
  (forall u, 0 <= u <= 1 -> df u <= dh u) -> f 1 - f 0 <= h 1 - h 0.
Proof.
  intros f df h dh Hf Hh H.
  destruct (MVT_gen (fun u => h u - f u) 0 1 (fun u => dh u - df u)) as (c & Hc & E).
  - intros u Hu. rewrite Rmin_left, Rmax_right in Hu by lra.
    apply (is_derive_minus h f u); [apply Hh|apply Hf]; lra.
  - intros u Hu. rewrite Rmin_left, Rmax_right in Hu by lra.
    apply continuity_pt_filterlim.
    apply (ex_derive_continuous (V := R_NormedModule) (fun u : R => h u - f u) u).
    exists (dh u - df u). apply (is_derive_minus h f u); [now apply Hh|now apply Hf].
  - rewrite Rmin_left, Rmax_right in Hc by lra. specialize (H c Hc). cbv beta in E. lra.
Qed.

(** Taylor: |f(1) − f(0) − f'(0)| ≤ M/2 where |f''| ≤ M. *)
Lemma taylor_remainder : forall (f df ddf : R -> R) (M : R),
  (forall u, 0 <= u <= 1 -> is_derive f u (df u)) ->
  (forall u, 0 <= u <= 1 -> is_derive df u (ddf u)) ->
  (forall u, 0 <= u <= 1 -> Rabs (ddf u) <= M) ->
  Rabs (f 1 - f 0 - df 0) <= M / 2.
Proof.
  intros f df ddf M Hf Hd HM.
  assert (D : forall u, 0 <= u <= 1 ->
    is_derive (fun u : R => f u + (1 - u) * df u) u ((1 - u) * ddf u)).
  { intros u Hu. evar_last.
    { apply (is_derive_plus f (fun x : R => (1 - x) * df x) u (df u) (- 1 * df u + (1 - u) * ddf u));
        [now apply Hf|].
      apply (is_derive_mult (fun x : R => 1 - x) df u (- 1) (ddf u));
        [auto_derive; [trivial|ring] | now apply Hd | intros; apply Rmult_comm]. }
    unfold plus; simpl. ring. }
  assert (P : forall c u : R, is_derive (fun u : R => c * (u - u ^ 2 / 2)) u (c * (1 - u))).
  { intros. auto_derive; [trivial|field]. }
  pose proof (grows_less _ _ _ _ D (fun u _ => P M u)) as Up.
  pose proof (grows_less _ _ _ _ (fun u _ => P (- M) u) D) as Low.
  cbv beta in Up, Low. apply Rabs_le. split.
  - assert (H : forall u, 0 <= u <= 1 -> - M * (1 - u) <= (1 - u) * ddf u).
    { intros u Hu. rewrite Rmult_comm. apply Rmult_le_compat_l; [lra|].
      specialize (HM u Hu). apply Rabs_le_between in HM. lra. }
    specialize (Low H). lra.
  - assert (H : forall u, 0 <= u <= 1 -> (1 - u) * ddf u <= M * (1 - u)).
    { intros u Hu. rewrite (Rmult_comm M). apply Rmult_le_compat_l; [lra|].
      specialize (HM u Hu). apply Rabs_le_between in HM. lra. }
    specialize (Up H). lra.
Qed.

(** The gain where everything is bounded: K ≤ (2B² + 3B⁶)² ≤ M₂². *)
Lemma curvature_large : forall B, 0 <= B ->
  0 < curvature (B + 1) /\ 3 * B ^ 4 * (1 + 3 * B ^ 8) <= curvature (B + 1) ^ 2.
Proof.
  intros B HB. assert (H2 : 0 <= B ^ 2) by now apply pow_le.
  assert (H6 : 0 <= B ^ 6) by now apply pow_le.
  assert (T : 2 * B ^ 2 + 3 * B ^ 6 + 2 <= curvature (B + 1)).
  { unfold curvature.
    assert (B ^ 2 <= (B + 1) ^ 2) by (apply pow_incr; lra).
    assert (B ^ 6 <= (B + 1) ^ 6) by (apply pow_incr; lra).
    assert ((B + 1) ^ 2 <= (B + 1) ^ 5) by (apply Rle_pow; [lra|lia]).
    assert ((B + 1) ^ 6 <= (B + 1) ^ 9) by (apply Rle_pow; [lra|lia]).
    assert (0 <= (B + 1) ^ 2) by (apply pow_le; lra).
    assert (0 <= (B + 1) ^ 6) by (apply pow_le; lra). lra. }
  split; [lra|].
  apply Rle_trans with ((2 * B ^ 2 + 3 * B ^ 6) ^ 2).
  - assert (0 <= B ^ 4) by now apply pow_le. assert (0 <= B ^ 8) by now apply pow_le.
    assert (0 <= B ^ 12) by now apply pow_le. ring_simplify. lra.
  - apply pow_incr. split; lra.
Qed.

Lemma abs_le_of_square : forall a b, 0 <= b -> a ^ 2 <= b ^ 2 -> Rabs a <= b.
Proof.
  intros a b Hb H. apply Rnot_lt_le. intros C. rewrite <- (pow2_abs a) in H.
  assert (0 <= Rabs a) by apply Rabs_pos. nra.
Qed.

Section Step.
Variables (n : nat) (v w q k y B g eta : R) (m : nat -> R).
Hypothesis Hn : (1 <= n)%nat.
Hypothesis Hv : Rabs v <= B.
Hypothesis Hw : Rabs w <= B.
Hypothesis Hq : Rabs q <= B.
Hypothesis Hk : Rabs k <= B.
Hypothesis Hy : Rabs y <= B.
Hypothesis Hm : forall j, (j < n)%nat -> Rabs (m j) <= B.
Hypothesis Hg : g <> 0.
Hypothesis Heta : 0 < eta.
Hypothesis Hsmall : eta <= / (curvature (B + 1) * Rabs g).
Let M := curvature (B + 1).
Let K := gain n v w q k y m.
Let mbar := attended n q k y m.
Let V := variance n q k y m.
Let gm (j : nat) := grad_m v w q k y (softmax n (logit q k y m) j) (m j) mbar.
Let dv := - (eta * g * grad_v w mbar).
Let dw := - (eta * g * grad_w v mbar).
Let dq := - (eta * g * grad_q v w k y V).
Let dk := - (eta * g * grad_k v w q y V).
Let dm (j : nat) := - (eta * g * gm j).
Let x := sqrt (total n (fun j => dm j ^ 2)).

Let HB : 0 <= B.
Proof. eapply Rle_trans; [apply Rabs_pos|exact Hq]. Qed.

Let HM : 0 < M.
Proof. now apply curvature_large. Qed.

Let Hmu : Rabs mbar <= B.
Proof. now apply mean_abs_le. Qed.

Let squares : 0 <= total n (fun j => dm j ^ 2).
Proof. apply total_nonneg; intros; apply pow2_ge_0. Qed.

Let gain_terms : K = grad_v w mbar ^ 2 + grad_w v mbar ^ 2 + grad_q v w k y V ^ 2
  + grad_k v w q y V ^ 2 + total n (fun j => gm j ^ 2).
Proof.
  unfold K. rewrite gain_is_squared_gradient by assumption.
  rewrite (is_derive_unique _ _ _ (partial_v n v w q k y m Hn)),
    (is_derive_unique _ _ _ (partial_w n v w q k y m Hn)),
    (is_derive_unique _ _ _ (partial_q n v w q k y m Hn)),
    (is_derive_unique _ _ _ (partial_k n v w q k y m Hn)).
  f_equal. apply total_ext. intros i Hi.
  now rewrite (is_derive_unique _ _ _ (partial_m n v w q k y m Hn i Hi)).
Qed.

Let velocity : dv ^ 2 + dw ^ 2 + dq ^ 2 + dk ^ 2 + x ^ 2 = eta ^ 2 * g ^ 2 * K.
Proof.
  unfold x. replace (sqrt (total n (fun j => dm j ^ 2)) ^ 2) with (total n (fun j => dm j ^ 2))
    by (simpl; rewrite Rmult_1_r, sqrt_sqrt; [reflexivity|exact squares]).
  rewrite (total_ext n (fun j => dm j ^ 2) (fun j => eta ^ 2 * g ^ 2 * gm j ^ 2))
    by (intros; unfold dm; ring).
  rewrite total_scal, gain_terms. unfold dv, dw, dq, dk. ring.
Qed.

Let gain_at_most : K <= M ^ 2.
Proof.
  eapply Rle_trans; [now apply (upper_bound n q k y B m)|].
  eapply Rle_trans; [|now apply curvature_large].
  unfold upper_constant. rewrite (Rmult_comm (3 * B ^ 4)).
  assert (0 <= B ^ 8) by now apply pow_le. apply Rmult_le_compat_l; [lra|].
  unfold q_bar, q_bar_formula. fold mbar.
  pose proof (square_le v B Hv). pose proof (square_le w B Hw).
  pose proof (square_le mbar B Hmu). pose proof (pow2_ge_0 v). pose proof (pow2_ge_0 w).
  pose proof (pow2_ge_0 mbar).
  assert (v ^ 2 * w ^ 2 <= B ^ 2 * B ^ 2) by now apply Rmult_le_compat.
  assert (v ^ 2 * mbar ^ 2 <= B ^ 2 * B ^ 2) by now apply Rmult_le_compat.
  assert (w ^ 2 * mbar ^ 2 <= B ^ 2 * B ^ 2) by now apply Rmult_le_compat.
  replace (B ^ 4) with (B ^ 2 * B ^ 2) by ring. lra.
Qed.

Let step_size : eta * Rabs g * M <= 1.
Proof.
  assert (Hg0 : 0 < Rabs g) by now apply Rabs_pos_lt.
  assert (0 < M * Rabs g) by now apply Rmult_lt_0_compat.
  replace (eta * Rabs g * M) with (eta * (M * Rabs g)) by ring.
  rewrite <- (Rinv_l (M * Rabs g)) by lra. apply Rmult_le_compat_r; [lra|exact Hsmall].
Qed.

Let within : dv ^ 2 + dw ^ 2 + dq ^ 2 + dk ^ 2 + x ^ 2 <= 1.
Proof.
  rewrite velocity. replace (eta ^ 2 * g ^ 2 * K) with ((eta * Rabs g) ^ 2 * K)
    by (rewrite Rpow_mult_distr, pow2_abs; reflexivity).
  apply Rle_trans with ((eta * Rabs g) ^ 2 * M ^ 2).
  - apply Rmult_le_compat_l; [apply pow2_ge_0|exact gain_at_most].
  - rewrite <- Rpow_mult_distr. rewrite <- (pow1 2). apply pow_incr. split; [|exact step_size].
    apply Rmult_le_pos; [apply Rmult_le_pos; [lra|apply Rabs_pos]|lra].
Qed.

Let each : forall j, (j < n)%nat -> Rabs (dm j) <= x.
Proof.
  intros j Hj. apply abs_le_of_square; [apply sqrt_pos|].
  unfold x. simpl (sqrt _ ^ 2). rewrite Rmult_1_r, sqrt_sqrt by exact squares.
  apply (total_term n (fun j => dm j ^ 2)); [intros; apply pow2_ge_0|assumption].
Qed.

Let stays : forall a da u, Rabs a <= B -> da ^ 2 <= 1 -> 0 <= u <= 1 -> Rabs (a + u * da) <= B + 1.
Proof.
  intros a da u Ha Hda Hu. apply abs_sum; [assumption|].
  assert (Rabs da <= 1) by (apply abs_le_of_square; lra).
  rewrite Rabs_mult, (Rabs_right u) by lra. pose proof (Rabs_pos da). nra.
Qed.

(** ΔG of the step, against its first-order part −ηgK. *)
Lemma remainder : Rabs (stepped n v w q k y m g eta - stepped n v w q k y m g 0
                        - - (eta * g * K)) <= M * (eta ^ 2 * g ^ 2 * K) / 2.
Proof.
  assert (Hx0 : 0 <= x) by apply sqrt_pos.
  assert (E : forall u, line_output n v w q k y m dv dw dq dk dm u
                        = stepped n v w q k y m g (eta * u)).
  { intros u. unfold line_output, stepped, dv, dw, dq, dk, dm, gm. fold mbar V.
    replace (fun j => m j + u * - (eta * g * grad_m v w q k y (softmax n (logit q k y m) j) (m j) mbar))
      with (fun j => m j - eta * u * (g * grad_m v w q k y (softmax n (logit q k y m) j) (m j) mbar))
      by (apply FunctionalExtensionality.functional_extensionality; intros; ring).
    f_equal; ring. }
  assert (F : line_first n v w q k y m dv dw dq dk dm 0 = - (eta * g * K)).
  { assert (D1 : is_derive (line_output n v w q k y m dv dw dq dk dm) 0
                   (line_first n v w q k y m dv dw dq dk dm 0))
      by now apply is_derive_line_output.
    assert (D2 : is_derive (line_output n v w q k y m dv dw dq dk dm) 0 (- (eta * g * K))).
    { apply (is_derive_ext (fun u => stepped n v w q k y m g (eta * u))).
      - intros; now rewrite E.
      - pose proof (sgd_step_rate n v w q k y m Hn g) as S. fold K in S. evar_last.
        { apply (is_derive_comp (stepped n v w q k y m g) (fun u : R => eta * u) 0
                   (- (g * K)) eta).
          - rewrite Rmult_0_r. exact S.
          - auto_derive; [trivial|ring]. }
        unfold scal; simpl; unfold mult; simpl. ring. }
    rewrite <- (is_derive_unique _ _ _ D1). now apply is_derive_unique. }
  pose proof (taylor_remainder (line_output n v w q k y m dv dw dq dk dm)
    (line_first n v w q k y m dv dw dq dk dm) (line_second n v w q k y m dv dw dq dk dm)
    (M * (eta ^ 2 * g ^ 2 * K))) as T.
  rewrite F, !E, Rmult_1_r, Rmult_0_r in T. apply T.
  - intros; now apply is_derive_line_output.
  - intros; now apply is_derive_line_first.
  - intros u Hu. rewrite <- velocity. pose proof within.
    pose proof (pow2_ge_0 dv); pose proof (pow2_ge_0 dw); pose proof (pow2_ge_0 dq).
    pose proof (pow2_ge_0 dk); pose proof (pow2_ge_0 x).
    apply second_bound; try assumption; try (apply stays; [assumption|lra|assumption]); [lra| |].
    + eapply Rle_trans; [exact Hy|lra].
    + intros j Hj. apply stays; [now apply Hm| |assumption].
      pose proof (square_le _ _ (each j Hj)). lra.
Qed.

(** The step moves G by between half and three halves of η|g|K. *)
Theorem finite_step :
  eta * Rabs g * K / 2 <= Rabs (stepped n v w q k y m g eta - stepped n v w q k y m g 0)
  <= 3 * (eta * Rabs g * K) / 2.
Proof.
  pose proof remainder as H. set (d := stepped n v w q k y m g eta - stepped n v w q k y m g 0) in *.
  assert (HK : 0 <= K).
  { rewrite gain_terms. pose proof (pow2_ge_0 (grad_v w mbar)). pose proof (pow2_ge_0 (grad_w v mbar)).
    pose proof (pow2_ge_0 (grad_q v w k y V)). pose proof (pow2_ge_0 (grad_k v w q y V)).
    assert (0 <= total n (fun j => gm j ^ 2)) by (apply total_nonneg; intros; apply pow2_ge_0). lra. }
  assert (Hs : M * (eta ^ 2 * g ^ 2 * K) / 2 <= eta * Rabs g * K / 2).
  { replace (M * (eta ^ 2 * g ^ 2 * K)) with ((eta * Rabs g * M) * (eta * Rabs g * K))
      by (rewrite <- (pow2_abs g); ring).
    assert (0 <= eta * Rabs g * K)
      by (apply Rmult_le_pos; [apply Rmult_le_pos; [lra|apply Rabs_pos]|assumption]).
    pose proof step_size. nra. }
  assert (A : Rabs (- (eta * g * K)) = eta * Rabs g * K)
    by (rewrite Rabs_Ropp, !Rabs_mult, (Rabs_right eta), (Rabs_right K) by lra; reflexivity).
  pose proof (Rabs_triang_inv d (- (eta * g * K))) as T1.
  pose proof (Rabs_triang_inv (- (eta * g * K)) d) as T2.
  rewrite (Rabs_minus_sym (- (eta * g * K)) d) in T2. rewrite A in T1, T2. lra.
Qed.
End Step.
